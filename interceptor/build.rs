//! Takes from the SDK's protobuf descriptors those that the JSON of a history needs.

use std::collections::HashSet;
use std::error::Error;
use std::path::PathBuf;

use prost::Message;
use prost_types::FileDescriptorSet;

/// The file that defines a history.
const ROOT: &str = "temporal/api/history/v1/message.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    // Published by the build script of `temporalio-protos`.
    let from = std::env::var("DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH")?;
    println!("cargo:rerun-if-changed={from}");
    let mut set = FileDescriptorSet::decode(std::fs::read(from)?.as_slice())?;
    let mut needed = HashSet::from([ROOT.to_owned()]);
    // Each file comes after those that it imports.
    for file in set.file.iter().rev() {
        if needed.contains(file.name()) {
            needed.extend(file.dependency.iter().cloned());
        }
    }
    set.file.retain(|file| needed.contains(file.name()));
    for file in &mut set.file {
        file.source_code_info = None;
        file.service.clear();
    }
    let to = PathBuf::from(std::env::var("OUT_DIR")?).join("history.bin");
    std::fs::write(to, set.encode_to_vec())?;
    Ok(())
}
