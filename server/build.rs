//! Builds anew when the bundle of the web UI, which is built in, has other files.

fn main() {
    println!("cargo::rerun-if-changed=../web/dist");
}
