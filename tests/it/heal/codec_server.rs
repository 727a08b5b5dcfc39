//! A codec server as Temporal's tools know it: `POST /decode`, payloads as JSON.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use temporalio_common::data_converters::{
    PayloadCodec, SerializationContextData, WorkflowSerializationContext,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::codec::Xor;
use crate::http::request;

/// Decodes what [`Xor`] has hidden, for those who say who they are. It ends with the test's process.
pub(super) struct CodecServer {
    pub(super) url: String,
    namespaces: Arc<Mutex<Vec<String>>>,
}

impl CodecServer {
    pub(super) fn start(authorization: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let namespaces = Arc::<Mutex<Vec<String>>>::default();
        let asked = namespaces.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let asked = asked.clone();
                std::thread::spawn(move || serve(stream, authorization, &asked));
            }
        });
        Self { url, namespaces }
    }

    /// Namespaces of the requests so far.
    pub(super) fn namespaces(&self) -> Vec<String> {
        self.namespaces.lock().expect("no panic").clone()
    }
}

/// Answers requests of one connection until it is closed.
fn serve(stream: TcpStream, authorization: &str, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a connection"));
    while let Some((head, body)) = request(&mut reader) {
        let header = |name: &str| {
            let mut lines = head.iter().filter_map(|line| line.split_once(": "));
            let (_, value) = lines.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
            Some(value)
        };
        let known = header("authorization") == Some(authorization);
        let (status, answer) = if known && head[0] == "POST /decode HTTP/1.1" {
            let namespace = header("x-namespace").unwrap_or_default().to_owned();
            asked.lock().expect("no panic").push(namespace);
            ("200 OK", decode(&body).to_string())
        } else {
            ("403 Forbidden", String::new())
        };
        let length = answer.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n");
        // Who asked may be gone.
        let _ = (&stream).write_all((head + &answer).as_bytes());
    }
}

fn decode(body: &[u8]) -> Value {
    let asked: Value = serde_json::from_slice(body).expect("JSON");
    let bytes = |value: &Value| {
        let text = value.as_str().expect("text");
        STANDARD.decode(text).expect("base64")
    };
    let payloads = asked["payloads"].as_array().expect("payloads").iter();
    let payloads = payloads.map(|payload| {
        let metadata = payload["metadata"].as_object().expect("metadata").iter();
        Payload {
            metadata: metadata
                .map(|(name, value)| (name.clone(), bytes(value)))
                .collect(),
            data: bytes(&payload["data"]),
            ..Payload::default()
        }
    });
    let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
    let decoded = Xor.decode(&context, payloads.collect());
    let decoded = futures::executor::block_on(decoded).expect("decoded");
    let payloads = decoded.into_iter().map(|payload| {
        let metadata = payload.metadata.into_iter();
        let metadata: serde_json::Map<_, _> = metadata
            .map(|(name, value)| (name, json!(STANDARD.encode(value))))
            .collect();
        json!({ "metadata": metadata, "data": STANDARD.encode(payload.data) })
    });
    json!({ "payloads": payloads.collect::<Vec<_>>() })
}
