//! Mail over SMTP: STARTTLS or TLS, plain on this machine only. All mails about one episode hang together in a thread.

use std::path::{Path, PathBuf};

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{Outcome, Receiver, Who, secret};
use crate::actuator::journal::Soon;
use crate::config::{MailConfig, MailSecurity};
use crate::notify::{Act, Message, TIMEOUT};

pub(super) struct Mail {
    config: MailConfig,
    from: Mailbox,
    to: Vec<Mailbox>,
    who: Who,
}

/// So that out-of-office robots keep quiet (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

impl Receiver for Mail {
    fn send<'a>(&'a self, message: &'a Message) -> Soon<'a, Outcome> {
        Box::pin(async move {
            let ready = self
                .letter(message)
                .and_then(|letter| Ok((letter, self.transport()?)));
            let (letter, transport) = match ready {
                Ok(ready) => ready,
                Err(problem) => return Outcome::Refused(problem),
            };
            match transport.send(letter).await {
                Ok(_) => Outcome::Delivered,
                Err(error) => judge(&error),
            }
        })
    }
}

impl Mail {
    pub(super) fn new(config: &MailConfig, who: Who) -> Result<Self, String> {
        let mailbox = |text: &String| {
            text.parse::<Mailbox>()
                .map_err(|e| format!("address {text}: {e}"))
        };
        Ok(Self {
            from: mailbox(&config.from)?,
            to: config.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            config: config.clone(),
            who,
        })
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
        let c = &self.config;
        let tls = match c.security {
            MailSecurity::Plain => Tls::None,
            MailSecurity::Starttls => Tls::Required(self.tls()?),
            MailSecurity::Tls => Tls::Wrapper(self.tls()?),
        };
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(c.server.as_str())
                .port(c.port)
                .tls(tls)
                .hello_name(ClientId::Domain(domain(&self.who.source)))
                .timeout(Some(TIMEOUT));
        if let (Some(user), Some(file)) = (&c.username, &c.password_file) {
            let password = secret(file)?;
            transport = transport.credentials(Credentials::new(
                user.clone(),
                password.expose_secret().to_owned(),
            ));
        }
        Ok(transport.build())
    }

    fn tls(&self) -> Result<TlsParameters, String> {
        let mut parameters = TlsParameters::builder(self.config.server.clone());
        if let Some(file) = &self.config.ca_file {
            parameters = parameters.add_root_certificate(certificate(file)?);
        }
        parameters.build().map_err(|e| format!("TLS: {e}"))
    }

    fn letter(&self, message: &Message) -> Result<Letter, String> {
        let thread = format!("<{}@slotkeeper>", digest(&message.id));
        let mut letter = Letter::builder()
            .from(self.from.clone())
            .subject(format!(
                "[{}] slotkeeper: {}",
                message.severity.as_str(),
                message.title()
            ))
            .header(AutoSubmitted);
        for to in &self.to {
            letter = letter.to(to.clone());
        }
        letter = if message.act == Act::Trigger {
            // The same when it is told twice: mail stores then show it once.
            letter.message_id(Some(thread))
        } else {
            let own = digest(&format!(
                "{} {} {}",
                message.id,
                message.act.as_str(),
                message.at
            ));
            letter
                .message_id(Some(format!("<{own}@slotkeeper>")))
                .in_reply_to(thread.clone())
                .references(thread)
        };
        let mut body = format!(
            "{}\n\nFrom slotkeeper on {}.\n",
            message.body(),
            self.who.source
        );
        if let Some(page) = &self.who.page {
            body.push_str(page);
            body.push('\n');
        }
        letter
            .body(body)
            .map_err(|e| format!("the mail cannot be written: {e}"))
    }
}

fn certificate(file: &PathBuf) -> Result<Certificate, String> {
    let shown = Path::display(file);
    let pem = std::fs::read(file).map_err(|e| format!("ca_file {shown}: {e}"))?;
    Certificate::from_pem(&pem).map_err(|e| format!("ca_file {shown}: {e}"))
}

/// A name that servers take for one: what is odd in it is left out.
fn domain(source: &str) -> String {
    let name: String = source
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        .collect();
    if name.is_empty() {
        "localhost".into()
    } else {
        name
    }
}

fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    crate::hex::encode(&hash[..12])
}

/// The server's own words are left out: they may repeat what it was sent.
fn judge(error: &lettre::transport::smtp::Error) -> Outcome {
    if let Some(code) = error.status() {
        let why = format!("the mail server answered {code}");
        return if error.is_permanent() {
            Outcome::Refused(format!(
                "{why}: are the addresses, user name and password right?"
            ))
        } else {
            Outcome::Retry { why, after: None }
        };
    }
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        why = format!("{why}: {inner}");
        cause = inner.source();
    }
    if error.is_client() {
        return Outcome::Refused(why);
    }
    Outcome::Retry { why, after: None }
}
