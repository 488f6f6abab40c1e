//! Certificates for tests, in PEM files.
use actors_net::ServerTls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::PathBuf;
use tempfile::TempDir;

/// A certificate authority, whose certificates lie in a folder.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, in PEM files.
#[derive(Clone)]
pub(crate) struct Paper {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), own.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    pub(crate) fn sign(&self, name: &str) -> Paper {
        self.sign_with(name, |_| {})
    }

    /// The same, for a server that reads it at once.
    pub(crate) fn sign_here(&self, name: &str) -> ServerTls {
        let paper = self.sign(name);
        ServerTls::from_pem_files(paper.certificate, paper.key).expect("it was written")
    }

    pub(crate) fn sign_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Paper {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |kind| self.path(&format!("{name}.{kind}.pem"));
        let paper = Paper {
            certificate: path("certificate"),
            key: path("key"),
        };
        std::fs::write(&paper.certificate, certificate.pem()).unwrap();
        std::fs::write(&paper.key, key.serialize_pem()).unwrap();
        paper
    }

    pub(crate) fn sign_expired(&self, name: &str) -> Paper {
        self.sign_with(name, |params| {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        })
    }
}
