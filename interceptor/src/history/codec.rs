//! A codec server, as Temporal's tools and web UI use it: payloads are posted and come back decoded.
//!
//! Invariant: it only decodes.

use std::collections::HashMap;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use temporalio_common::data_converters::{
    PayloadCodec, PayloadConversionError, SerializationContextData,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A codec server.
pub(super) struct RemoteCodec {
    agent: ureq::Agent,
    decode: String,
    namespace: String,
    authorization: Option<String>,
}

/// A payload as protobuf's JSON has it.
#[derive(Serialize, Deserialize)]
struct Encoded {
    #[serde(default)]
    metadata: HashMap<String, String>,
    #[serde(default)]
    data: String,
}

#[derive(Serialize, Deserialize)]
struct Payloads {
    payloads: Vec<Encoded>,
}

impl RemoteCodec {
    /// `None` if the endpoint is no HTTP address.
    pub(super) fn new(
        endpoint: &str,
        authorization: Option<String>,
        namespace: &str,
    ) -> Option<Self> {
        let endpoint = endpoint.replace("{namespace}", namespace);
        let url = url::Url::parse(&endpoint).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(())?;
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT));
        Some(Self {
            agent: config.build().into(),
            decode: format!("{}/decode", endpoint.trim_end_matches('/')),
            namespace: namespace.to_owned(),
            authorization,
        })
    }
}

impl PayloadCodec for RemoteCodec {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        Box::pin(async { Ok(payloads) })
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let mut request = self
            .agent
            .post(&self.decode)
            .header("X-Namespace", &self.namespace);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let post = move || -> Result<Vec<Payload>, Refusal> {
            let asked = payloads.len();
            let payloads = payloads.into_iter().map(Encoded::from).collect();
            let answer = request.send_json(Payloads { payloads })?;
            let answer: Payloads = answer.into_body().read_json()?;
            let decoded: Option<Vec<_>> =
                answer.payloads.into_iter().map(Encoded::decoded).collect();
            decoded
                .filter(|decoded| decoded.len() == asked)
                .ok_or_else(|| "the codec server answered something else than payloads".into())
        };
        Box::pin(async move {
            let answer = tokio::task::spawn_blocking(post).await;
            let answer = answer.unwrap_or_else(|error| Err(error.into()));
            answer.map_err(PayloadConversionError::EncodingError)
        })
    }
}

type Refusal = Box<dyn std::error::Error + Send + Sync>;

impl From<Payload> for Encoded {
    fn from(payload: Payload) -> Self {
        let metadata = payload.metadata.into_iter();
        Self {
            metadata: metadata
                .map(|(name, value)| (name, STANDARD.encode(value)))
                .collect(),
            data: STANDARD.encode(payload.data),
        }
    }
}

impl Encoded {
    fn decoded(self) -> Option<Payload> {
        let metadata = self.metadata.into_iter();
        Some(Payload {
            metadata: metadata
                .map(|(name, value)| Some((name, STANDARD.decode(value).ok()?)))
                .collect::<Option<_>>()?,
            data: STANDARD.decode(self.data).ok()?,
            ..Payload::default()
        })
    }
}
