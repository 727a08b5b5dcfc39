//! What is not public and takes bytes from outside, for the fuzzers in `fuzz`.

use std::collections::HashMap;

use temporalio_common::protos::temporal::api::common::v1::Payload;

use super::{header, tracer_data};
use crate::propagation::{BaggageKeys, RunTrace, passed_on};

/// Reads bytes as the headers of a call. What is read of a trace context is written as it was read.
///
/// # Panics
/// When it is not.
pub fn headers(data: &[u8]) {
    let payload = Payload {
        data: data.to_vec(),
        ..Payload::default()
    };
    let headers = [tracer_data::HEADER, header::HEADER];
    let headers: HashMap<_, _> = headers
        .map(|name| (name.to_owned(), payload.clone()))
        .into();
    header::StepHeader::read(&headers);
    let baggage = tracer_data::baggage(&headers, &BaggageKeys::new(&["team".to_owned()]));
    if let Ok(Some(context)) = tracer_data::read(&headers) {
        assert!(context.is_valid());
        let mut written = HashMap::new();
        tracer_data::write(&context, baggage, &mut written);
        assert_eq!(tracer_data::read(&written), Ok(Some(context.clone())));
        for trigger in ["client", "cron", "retry", "continue_as_new"] {
            RunTrace::of_caller(Some(&context), trigger);
            passed_on(&context);
        }
    }
}
