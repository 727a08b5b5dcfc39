//! Builds the crate again when a migration is added: the macro that embeds them only sees changes
//! of those it knew.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
