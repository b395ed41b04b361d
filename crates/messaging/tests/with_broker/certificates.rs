//! An authority of the test's own and what it signed, as files.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

pub(crate) struct Authority {
    pub(crate) roots: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut parameters = named("authority", Vec::new());
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let roots = folder.path().join("roots.pem");
        std::fs::write(&roots, parameters.self_signed(&key).unwrap().pem()).unwrap();
        Self { roots, issuer: Issuer::new(parameters, key), folder }
    }

    /// Signs a certificate for this machine.
    pub(crate) fn sign(&self, name: &str) -> Identity {
        let key_pair = KeyPair::generate().unwrap();
        let parameters = named(name, vec!["127.0.0.1".to_owned()]);
        let signed = parameters.signed_by(&key_pair, &self.issuer).unwrap();
        let file = |extension: &str| self.folder.path().join(format!("{name}.{extension}"));
        let identity = Identity { certificate: file("pem"), key: file("key") };
        std::fs::write(&identity.certificate, signed.pem()).unwrap();
        std::fs::write(&identity.key, key_pair.serialize_pem()).unwrap();
        identity
    }
}

fn named(name: &str, addresses: Vec<String>) -> CertificateParams {
    let mut parameters = CertificateParams::new(addresses).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
