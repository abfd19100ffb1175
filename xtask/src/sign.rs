//! Signatures of files and images: keys of one's own, and bundles as cosign reads and writes
//! them. Nothing here touches the network, a file or the user.
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>

mod bundle;
mod der;
mod dsse;
mod key;
mod pem;
mod sealed;
mod simple;
mod statement;
#[cfg(test)]
mod tests;

pub use bundle::{Bundle, LIMIT, MEDIA_TYPE, sign_file, sign_payload, sign_statement};
pub use key::{KEY_LIMIT, KeyText, PrivateKey, PublicKey, new_key};
pub use simple::{SIGNATURE_ANNOTATION, SIMPLE_SIGNING, simple_signing, verify_simple};
pub use statement::{SIGNATURE, SUBJECTS, Statement, Subject};
