//! `login --oidc` and `oidc`: the browser's part of signing in at an OpenID provider, by a loopback redirect (RFC 8252 section 7.3).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command as Program, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_client::{Client, Session};

use crate::Context;
use crate::failure::Failure;
use crate::output::{Output, complain, plain, table};
use crate::step_up::with_recent_sign_in;

/// How long somebody may take at the provider: as long as the appliance waits.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long a browser may take to send a request.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
/// How much of a request is read, in bytes.
const LONGEST_REQUEST: u64 = 64 * 1024;
/// How often it is looked whether a browser has come.
const PAUSE: Duration = Duration::from_millis(50);
/// Where the browser comes back to.
const PATH: &str = "/signed-in";

const DONE: &str = "<!doctype html><meta charset=utf-8><title>Strongroom</title>\
    <p>You can close this window and go back to the terminal.";

/// How the browser is reached.
#[derive(Args, Debug)]
pub(crate) struct Browser {
    /// Start no browser: only print the address to open.
    #[arg(long)]
    no_browser: bool,
    /// The port of this machine that the browser comes back to, for providers that know fixed addresses only [default: a free one].
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    redirect_port: u16,
}

/// `strongroom oidc`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List the OpenID providers at which one can sign in.
    Providers,
    /// List the identities that this account is linked with.
    List,
    /// Link this account with one's identity at a provider, to sign in with it from then on.
    Link {
        /// The provider; needed where there are several.
        provider: Option<String>,
        #[command(flatten)]
        browser: Browser,
    },
    /// Remove the link with an identity.
    Unlink {
        /// The provider's issuer, as `strongroom oidc list` shows it.
        issuer: String,
    },
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        match self {
            Self::Providers => {
                let providers = session.client().oidc_providers()?;
                context.output.answer(&providers, || {
                    let names = providers.providers.iter().map(|one| plain(&one.name));
                    names.collect::<Vec<_>>().join("\n")
                })
            }
            Self::List => {
                let identities = session.identities()?;
                context.output.answer(&identities, || {
                    let rows: Vec<_> = identities
                        .identities
                        .iter()
                        .map(|identity| {
                            [
                                plain(&identity.issuer),
                                plain(&identity.subject),
                                identity.created.to_string(),
                                identity.used.map_or_else(String::new, |at| at.to_string()),
                            ]
                        })
                        .collect();
                    table(["ISSUER", "SUBJECT", "LINKED", "LAST USED"], &rows)
                })
            }
            Self::Link { provider, browser } => {
                let provider = chosen(session.client(), provider.as_deref().unwrap_or_default())?;
                let door = Door::open(&browser)?;
                let waiting = with_recent_sign_in(context, &session, || {
                    session.begin_identity_link(&provider, &door.address)
                })?;
                let url = waiting.authorization_url();
                let came_back_to = door.send(&browser, context.output, url, waiting.state())?;
                let done = waiting.finish(&came_back_to)?;
                context.output.answer(&done, || {
                    format!(
                        "{} is linked. Sign in with: strongroom login --oidc {provider}",
                        session.account().name
                    )
                })
            }
            Self::Unlink { issuer } => {
                let done =
                    with_recent_sign_in(context, &session, || session.unlink_identity(&issuer))?;
                context.output.answer(&done, || {
                    format!("The link with {} is removed.", plain(&issuer))
                })
            }
        }
    }
}

/// Signs in at a provider; an empty name stands for the only one.
pub(crate) fn sign_in(
    client: &Client,
    (provider, fresh): (&str, bool),
    browser: &Browser,
    output: Output,
) -> Result<Session, Failure> {
    let provider = chosen(client, provider)?;
    let door = Door::open(browser)?;
    let waiting = client.begin_oidc_sign_in(&provider, &door.address, fresh)?;
    let came_back_to = door.send(
        browser,
        output,
        waiting.authorization_url(),
        waiting.state(),
    )?;
    Ok(waiting.finish(&came_back_to)?)
}

fn chosen(client: &Client, named: &str) -> Result<String, Failure> {
    if !named.is_empty() {
        return Ok(named.to_owned());
    }
    let providers = client.oidc_providers()?.providers;
    match providers.as_slice() {
        [] => Err(Failure::Usage(
            "the appliance knows no OpenID provider".to_owned(),
        )),
        [only] => Ok(only.name.clone()),
        several => {
            let names: Vec<_> = several.iter().map(|one| plain(&one.name)).collect();
            Err(Failure::Usage(format!(
                "say which OpenID provider it shall be: {}",
                names.join(", ")
            )))
        }
    }
}

/// Where the browser comes back to.
struct Door {
    listener: TcpListener,
    address: String,
}

impl Door {
    fn open(browser: &Browser) -> Result<Self, Failure> {
        let failed = |error| Failure::local("no browser can come back to this machine", &error);
        let place = (Ipv4Addr::LOCALHOST, browser.redirect_port);
        let listener = TcpListener::bind(place).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self {
            listener,
            address: format!("http://127.0.0.1:{port}{PATH}"),
        })
    }

    /// Sends the browser to the provider and waits until it comes back: the whole address.
    fn send(
        &self,
        browser: &Browser,
        output: Output,
        url: &str,
        state: &str,
    ) -> Result<String, Failure> {
        if output.is_json() {
            complain(&json!({ "authorization_url": url }).to_string());
        } else {
            complain(&format!(
                "Sign in with your browser on this machine:\n\n  {}\n",
                plain(url)
            ));
        }
        if !browser.no_browser {
            // Where there is none, the address above is what there is.
            let _ = Program::new("xdg-open")
                .arg(url)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
        }
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Some(query) = answer(stream, state) {
                        return Ok(format!("{}?{query}", self.address));
                    }
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
        Err(Failure::Failed(
            "nobody has come back from the OpenID provider in ten minutes".to_owned(),
        ))
    }
}

/// Answers a request: the query of its address, if it is the one that is waited for. Anything else on this machine can connect here, too.
fn answer(mut stream: TcpStream, state: &str) -> Option<String> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(REQUEST_PATIENCE)).ok()?;
    stream.set_write_timeout(Some(REQUEST_PATIENCE)).ok()?;
    let mut lines = BufReader::new((&stream).take(LONGEST_REQUEST)).lines();
    let first = lines.next()?.ok()?;
    // To the end of the head, so that the browser is not cut off.
    while lines.next()?.ok().is_some_and(|line| !line.is_empty()) {}
    drop(lines);
    let query = first
        .strip_prefix("GET ")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|target| target.strip_prefix(PATH)?.strip_prefix('?'))
        .filter(|query| {
            query
                .split('&')
                .any(|pair| pair == format!("state={state}"))
        });
    let (status, body) = match query {
        Some(_) => ("200 OK", DONE),
        None => ("404 Not Found", ""),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    // Whoever does not read it has still come back.
    let _ = stream.write_all(response.as_bytes());
    query.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_the_browser_that_was_sent_comes_back() {
        let browser = Browser {
            no_browser: true,
            redirect_port: 0,
        };
        let door = Door::open(&browser).unwrap();
        let address = door.listener.local_addr().unwrap();
        let visits = thread::spawn(move || {
            let mut answers = Vec::new();
            for target in [
                "GET /favicon.ico",
                "GET /signed-in?state=other&code=1",
                "POST /signed-in?state=right&code=2",
                "GET /signed-in?state=right&code=3",
            ] {
                let mut stream = TcpStream::connect(address).unwrap();
                write!(stream, "{target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answers.push(answer.contains("200 OK"));
            }
            answers
        });
        let back = door
            .send(&browser, Output::new(true), "https://x", "right")
            .unwrap();
        assert!(back.ends_with("/signed-in?state=right&code=3"), "{back}");
        assert_eq!(visits.join().unwrap(), [false, false, false, true]);
    }
}
