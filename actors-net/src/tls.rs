//! TLS for both ends: certificates from PEM files, names that are allowed, new ones without a
//! restart.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]
use crate::address::NetAddr;
use crate::error::NetError;
use crate::stream::{PeerIdentity, Stream};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{AlertDescription, ClientConfig, RootCertStore, ServerConfig};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream, rustls};
use webpki::EndEntityCert;

/// How a [`Listener`](crate::Listener) encrypts, and whom it lets in. TLS 1.3, and nothing older.
///
/// Clones are one: what is reloaded by one is so for all.
#[derive(Clone)]
pub struct ServerTls {
    source: Source,
    /// Who may come; `None`: whoever has a certificate, where one is asked for.
    allowed: Option<Arc<BTreeSet<String>>>,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

/// How a [`Dial`](crate::Dial) encrypts, and whom it trusts. TLS 1.3, and nothing older.
///
/// Clones are one: what is reloaded by one is so for all.
#[derive(Clone)]
pub struct ClientTls {
    source: Source,
    server_name: Option<String>,
    config: Arc<RwLock<Arc<ClientConfig>>>,
}

/// What a config is made of: where certificates and keys are, and what is spoken.
#[derive(Clone, Debug)]
struct Source {
    /// Certificate chain and private key of this end.
    own: Option<(PathBuf, PathBuf)>,
    /// Who signs the certificates of the other end.
    trusted: Option<PathBuf>,
    /// The protocols, the one that is preferred first; none: whatever the peer speaks.
    protocols: Vec<String>,
}

impl Source {
    fn own(
        &self,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, NetError> {
        let Some((certificates, key)) = &self.own else {
            return Ok(None);
        };
        let chain = read_certificates(certificates)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
        Ok(Some((chain, key)))
    }

    fn trusted(&self) -> Result<Option<RootCertStore>, NetError> {
        let Some(path) = &self.trusted else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(path)? {
            roots
                .add(certificate)
                .map_err(|error| unusable(path, &error))?;
        }
        Ok(Some(roots))
    }

    fn alpn(&self) -> Vec<Vec<u8>> {
        let names = self.protocols.iter().cloned();
        names.map(String::into_bytes).collect()
    }

    /// The stream after its handshake, if the peer speaks what is asked for.
    fn secured(
        &self,
        shaken: io::Result<impl Into<TlsStream<Box<dyn Stream>>>>,
    ) -> Result<Secured, NetError> {
        let secured = Secured::new(shaken.map_err(refused)?.into());
        match secured.protocol {
            None if !self.protocols.is_empty() => Err(NetError::NoProtocol),
            _ => Ok(secured),
        }
    }
}

/// Why there was no handshake.
fn refused(error: io::Error) -> NetError {
    let known = error.get_ref().and_then(|error| error.downcast_ref());
    match known {
        Some(
            rustls::Error::NoApplicationProtocol
            | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol),
        ) => NetError::NoProtocol,
        _ => NetError::tls(error),
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(path, &error));
    match certificates {
        Ok(none) if none.is_empty() => Err(unusable(path, &"it holds no certificate")),
        certificates => certificates,
    }
}

/// Names the file, and nothing of what is in it.
fn unusable(path: &Path, why: &dyn fmt::Display) -> NetError {
    NetError::tls(format!("{} cannot be used: {why}", path.display()))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn current<T>(config: &RwLock<Arc<T>>) -> Arc<T> {
    Arc::clone(&config.read().unwrap_or_else(PoisonError::into_inner))
}

fn replace<T>(config: &RwLock<Arc<T>>, by: T) {
    *config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(by);
}

impl ServerTls {
    /// With a chain of certificates and a private key, in PEM files.
    ///
    /// # Errors
    ///
    /// `Tls`: a file cannot be read or holds something else.
    pub fn from_pem_files(
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, NetError> {
        let source = Source {
            own: Some((certificates.into(), key.into())),
            trusted: None,
            protocols: Vec::new(),
        };
        let config = server_config(&source)?;
        Ok(Self {
            source,
            allowed: None,
            config: Arc::new(RwLock::new(Arc::new(config))),
        })
    }

    /// Lets only those in who have a certificate signed by one of these, in a PEM file.
    ///
    /// # Errors
    ///
    /// As [`from_pem_files`](Self::from_pem_files).
    pub fn clients_signed_by(mut self, authorities: impl Into<PathBuf>) -> Result<Self, NetError> {
        self.source.trusted = Some(authorities.into());
        let config = server_config(&self.source)?;
        self.config = Arc::new(RwLock::new(Arc::new(config)));
        Ok(self)
    }

    /// Of these, lets only those in whose certificate has one of these names: DNS names, or URIs such
    /// as SPIFFE's, as they are written there. Without
    /// [`clients_signed_by`](Self::clients_signed_by) nobody has a certificate, so that nobody is
    /// let in.
    #[must_use]
    pub fn allow(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed = Some(Arc::new(names.into_iter().map(Into::into).collect()));
        self
    }

    /// Speaks one of these protocols, named as by ALPN (RFC 7301), the first that both ends know;
    /// and with nobody who names none of them. [`Link::protocol`](crate::Link::protocol) tells which.
    #[must_use]
    pub fn protocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.source.protocols = names.into_iter().map(Into::into).collect();
        let mut config = ServerConfig::clone(&current(&self.config));
        config.alpn_protocols = self.source.alpn();
        self.config = Arc::new(RwLock::new(Arc::new(config)));
        self
    }

    /// Reads the files again. Connections that are there go on; with an error, all goes on as it was.
    ///
    /// # Errors
    ///
    /// As [`from_pem_files`](Self::from_pem_files).
    pub fn reload(&self) -> Result<(), NetError> {
        replace(&self.config, server_config(&self.source)?);
        Ok(())
    }

    /// Does the handshake with somebody who has come.
    pub(crate) async fn accept(
        &self,
        stream: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, NetError> {
        let config = current(&self.config);
        let io = TlsAcceptor::from(config).accept(stream).await;
        let secured = self.source.secured(io)?;
        if let Some(allowed) = &self.allowed {
            let names = secured.identity.iter().flat_map(|identity| &identity.names);
            if !names.into_iter().any(|name| allowed.contains(name)) {
                return Err(NetError::NotAllowed);
            }
        }
        Ok(Box::new(secured))
    }
}

fn server_config(source: &Source) -> Result<ServerConfig, NetError> {
    let (chain, key) = source
        .own()?
        .ok_or_else(|| NetError::tls("a server needs a certificate"))?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(NetError::tls)?;
    let builder = match source.trusted()? {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(NetError::tls)?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(NetError::tls)?;
    config.alpn_protocols = source.alpn();
    // A session that is resumed has not shown its certificate again: after a reload it should.
    config.send_tls13_tickets = 0;
    Ok(config)
}

impl ClientTls {
    /// Trusts servers whose certificate is signed by one of these, in a PEM file, and has the name
    /// that was dialled.
    ///
    /// # Errors
    ///
    /// `Tls`: the file cannot be read or holds something else.
    pub fn trusting(authorities: impl Into<PathBuf>) -> Result<Self, NetError> {
        let source = Source {
            own: None,
            trusted: Some(authorities.into()),
            protocols: Vec::new(),
        };
        let config = client_config(&source)?;
        Ok(Self {
            source,
            server_name: None,
            config: Arc::new(RwLock::new(Arc::new(config))),
        })
    }

    /// Shows this certificate to servers that ask for one.
    ///
    /// # Errors
    ///
    /// As [`trusting`](Self::trusting).
    pub fn identity(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, NetError> {
        self.source.own = Some((certificates.into(), key.into()));
        let config = client_config(&self.source)?;
        self.config = Arc::new(RwLock::new(Arc::new(config)));
        Ok(self)
    }

    /// Speaks one of these protocols, named as by ALPN (RFC 7301), the first that both ends know;
    /// and with nobody who names none of them. [`Link::protocol`](crate::Link::protocol) tells which.
    #[must_use]
    pub fn protocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.source.protocols = names.into_iter().map(Into::into).collect();
        let mut config = ClientConfig::clone(&current(&self.config));
        config.alpn_protocols = self.source.alpn();
        self.config = Arc::new(RwLock::new(Arc::new(config)));
        self
    }

    /// The name that the server's certificate must have, where it is not the one that was dialled.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Reads the files again. Connections that are there go on; with an error, all goes on as it was.
    ///
    /// # Errors
    ///
    /// As [`trusting`](Self::trusting).
    pub fn reload(&self) -> Result<(), NetError> {
        replace(&self.config, client_config(&self.source)?);
        Ok(())
    }

    /// Does the handshake with the server at this address.
    pub(crate) async fn connect(
        &self,
        stream: Box<dyn Stream>,
        address: &NetAddr,
    ) -> Result<Box<dyn Stream>, NetError> {
        let address = address.to_string();
        let host = match address.rsplit_once(':') {
            Some((host, _port)) => host.trim_start_matches('[').trim_end_matches(']'),
            None => &address,
        };
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(NetError::tls)?;
        let config = current(&self.config);
        let io = TlsConnector::from(config).connect(name, stream).await;
        Ok(Box::new(self.source.secured(io)?))
    }
}

fn client_config(source: &Source) -> Result<ClientConfig, NetError> {
    let roots = source.trusted()?.unwrap_or_else(RootCertStore::empty);
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(NetError::tls)?
        .with_root_certificates(roots);
    let mut config = match source.own()? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(NetError::tls)?,
    };
    config.alpn_protocols = source.alpn();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("source", &self.source)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("source", &self.source)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// An encrypted stream over another one.
struct Secured {
    io: TlsStream<Box<dyn Stream>>,
    peer: NetAddr,
    local: NetAddr,
    identity: Option<Arc<PeerIdentity>>,
    protocol: Option<Arc<str>>,
}

impl Secured {
    fn new(io: TlsStream<Box<dyn Stream>>) -> Self {
        let (stream, session) = io.get_ref();
        let protocol = session.alpn_protocol().map(String::from_utf8_lossy);
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        Self {
            peer: stream.peer_addr(),
            local: stream.local_addr(),
            identity: certificate.map(|certificate| Arc::new(identity(certificate))),
            protocol: protocol.map(|name| name.as_ref().into()),
            io,
        }
    }
}

/// Who it is, as the certificate says, which was checked.
fn identity(certificate: &CertificateDer<'_>) -> PeerIdentity {
    let names = EndEntityCert::try_from(certificate).map(|certificate| {
        let names = certificate.valid_dns_names();
        let names = names.chain(certificate.valid_uri_names());
        names.map(str::to_owned).collect()
    });
    PeerIdentity {
        names: names.unwrap_or_default(),
        certificate: certificate.to_vec(),
    }
}

impl Stream for Secured {
    fn peer_addr(&self) -> NetAddr {
        self.peer.clone()
    }

    fn local_addr(&self) -> NetAddr {
        self.local.clone()
    }

    fn peer_identity(&self) -> Option<Arc<PeerIdentity>> {
        self.identity.clone()
    }

    fn protocol(&self) -> Option<Arc<str>> {
        self.protocol.clone()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
