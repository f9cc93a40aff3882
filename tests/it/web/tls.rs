//! TLS and client certificates, with certificates made on the spot.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use slotkeeper::config::Config;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::harness::{Answer, House, get, post, speak};
use crate::fixtures::config;

struct Pki {
    dir: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

struct Leaf {
    cert: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self {
            dir: TempDir::new().unwrap(),
            ca,
        };
        let server = pki.leaf();
        pki.file("ca.pem", &pki.ca.pem());
        pki.file("server.pem", &server.pem);
        pki.file("server.key", &server.key.serialize_pem());
        pki
    }

    fn leaf(&self) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .signed_by(&key, &self.ca)
            .unwrap();
        Leaf {
            cert: cert.der().clone(),
            pem: cert.pem(),
            key,
        }
    }

    fn file(&self, name: &str, content: &str) {
        std::fs::write(self.dir.path().join(name), content).unwrap();
    }

    /// Both listeners over TLS; control with `client_auth_type`, and a token.
    fn config(&self, client_auth_type: &str) -> Config {
        self.file(
            "web.yml",
            "tls_server_config: {cert_file: server.pem, key_file: server.key}\n",
        );
        self.file(
            "control.yml",
            &format!(
                "tls_server_config: {{cert_file: server.pem, key_file: server.key, client_auth_type: {client_auth_type}, client_ca_file: ca.pem}}\n"
            ),
        );
        self.file("token", "sesame");
        let mut config = config();
        config.web.config_file = Some(self.dir.path().join("web.yml"));
        config.control.config_file = Some(self.dir.path().join("control.yml"));
        config.control.token_file = Some(self.dir.path().join("token"));
        config
    }

    async fn ask(
        &self,
        addr: std::net::SocketAddr,
        client: Option<&Leaf>,
        request: &str,
    ) -> std::io::Result<Answer> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
                builder
                    .with_client_auth_cert(vec![leaf.cert.clone()], key)
                    .unwrap()
            }
        };
        let stream = TcpStream::connect(addr).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        // TLS 1.3: a refused client certificate shows at the first read only.
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        stream.write_all(request.as_bytes()).await?;
        let mut first = [0; 1];
        stream.read_exact(&mut first).await?;
        Ok(speak(
            Replayed {
                first: Some(first[0]),
                stream,
            },
            b"",
        )
        .await)
    }
}

/// Gives back the byte that was read to see whether the server talks to us.
struct Replayed<S> {
    first: Option<u8>,
    stream: S,
}

impl<S: tokio::io::AsyncRead + Unpin> tokio::io::AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if let Some(byte) = self.first.take() {
            buf.put_slice(&[byte]);
            return std::task::Poll::Ready(Ok(()));
        }
        std::pin::Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: tokio::io::AsyncWrite + Unpin> tokio::io::AsyncWrite for Replayed<S> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_client_certificate_is_a_way_in_beside_the_token() {
    let pki = Pki::new();
    let house = House::up(pki.config("VerifyClientCertIfGiven")).await;
    let (web, control) = {
        let l = house.listeners.as_ref().unwrap();
        (l.web, l.control)
    };
    assert_eq!(
        pki.ask(web, None, &get("/metrics", ""))
            .await
            .unwrap()
            .status,
        200
    );
    let ours = pki.leaf();
    let command = post("/api/v1/disarm", "", "");
    assert_eq!(
        pki.ask(control, Some(&ours), &command)
            .await
            .unwrap()
            .status,
        200
    );
    assert_eq!(pki.ask(control, None, &command).await.unwrap().status, 401);
    let token = post("/api/v1/disarm", "Authorization: Bearer sesame\r\n", "");
    assert_eq!(pki.ask(control, None, &token).await.unwrap().status, 200);
    let stranger = Pki::new().leaf();
    assert!(
        pki.ask(control, Some(&stranger), &token).await.is_err(),
        "a certificate of another CA"
    );
    // Plain HTTP to a TLS port gets nothing out of it.
    let mut plain = TcpStream::connect(control).await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    plain.write_all(token.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    assert!(!String::from_utf8_lossy(&said).contains("HTTP/1.1 200"));
    assert_eq!(*house.desk.armed.lock().unwrap(), [false, false]);
    house.down().await;
}

#[tokio::test]
async fn a_required_certificate_is_required() {
    let pki = Pki::new();
    let house = House::up(pki.config("RequireAndVerifyClientCert")).await;
    let control = house.listeners.as_ref().unwrap().control;
    let token = post("/api/v1/disarm", "Authorization: Bearer sesame\r\n", "");
    assert!(pki.ask(control, None, &token).await.is_err());
    assert_eq!(
        pki.ask(control, Some(&pki.leaf()), &post("/api/v1/disarm", "", ""))
            .await
            .unwrap()
            .status,
        200
    );
    house.down().await;
}
