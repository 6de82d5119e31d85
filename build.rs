//! Compiles `proto/` with protox, so that no protoc is needed on the machine.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");

    let mut files = Vec::new();
    for entry in fs::read_dir("proto/pledgebook/v1")? {
        files.push(entry?.path());
    }
    files.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true);
    compiler.include_source_info(true);
    compiler.open_files(files)?;

    #[expect(
        clippy::disallowed_methods,
        reason = "cargo speaks through the environment"
    )]
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(
        out.join("pledgebook.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;

    // What servers say to each other is not part of the API, nor of its descriptors.
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.open_file("proto/pledgebook/peer/v1/peer.proto")?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
