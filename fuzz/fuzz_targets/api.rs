#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| omnitrace_fuzz::api(data));
