//! Settings from code.

use super::*;

#[test]
fn code_goes_over_the_environment() {
    let chosen = settings(&[
        ("OMNITRACE_SAMPLE_RATE", "0.5"),
        ("OMNITRACE_ALLOW_FIELDS", "a"),
    ]);
    let s = chosen
        .with_env(Env::Prod)
        .with_allow_fields(["b"])
        .with_drop_fields(["c"])
        .with_database(DatabaseTarget::None)
        .with_max_events_per_run(0)
        .with_max_event_bytes(u32::MAX)
        .with_slow_ms(5)
        .with_queue_bytes(0)
        .with_flush_ms(u64::MAX)
        .with_promote_window_s(1)
        .with_migrate(false)
        .with_capture_content(true)
        .with_hash_key(" key\n")
        .with_service_name("till")
        .with_prices("/etc/prices.json")
        .with_trace_per_chain(true)
        .with_baggage(["team", "no key", ""])
        .with_categories("tool=*")
        .unwrap();
    assert_eq!(
        (s.env, s.sample_rate),
        (Env::Prod, 0.5),
        "a chosen rate stays"
    );
    assert_eq!(
        (s.allow_fields, s.drop_fields),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );
    assert_eq!(s.database, DatabaseTarget::None);
    assert_eq!((s.max_events_per_run, s.max_event_bytes), (1, 1 << 20));
    assert_eq!((s.slow_ms, s.queue_bytes, s.flush_ms), (5, 65_536, 60_000));
    assert_eq!(
        (s.promote_window_s, s.migrate, s.capture_content),
        (1, false, true)
    );
    assert_eq!((s.hash_key, s.enabled), (Some(Secret::new("key")), true));
    assert_eq!(
        (s.service_name.as_str(), s.categories_text.as_str()),
        ("till", "tool=*")
    );
    assert_eq!(s.prices, Some(PathBuf::from("/etc/prices.json")));
    assert_eq!((s.trace_per_chain, s.baggage), (true, vec!["team".into()]));

    let s = settings(&[]).with_env(Env::Prod);
    assert_eq!(
        s.sample_rate, 0.1,
        "a rate that nobody chose is that of the environment"
    );
    assert_eq!(s.clone().with_sample_rate(f64::NAN).sample_rate, 0.0);
    assert_eq!(
        s.clone()
            .with_sample_rate(7.0)
            .with_env(Env::Dev)
            .sample_rate,
        1.0
    );
    let mut telemetry = s.telemetry.clone();
    telemetry.enabled = true;
    assert!(s.clone().with_telemetry(telemetry).telemetry.enabled);
    assert!(!s.clone().with_hash_key(" ").enabled);
    assert!(!s.with_enabled(false).enabled);
}
