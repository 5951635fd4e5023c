//! The HTTP interface from a client's side: requests, enrolment, sign-in; made from the wire types and the OPAQUE suite alone.
//!
//! It shares nothing with the client library, so that an error which both ends of that library make alike is seen here.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_session::opaque::{CONTEXT, identifiers, server_identity};
use strongroom_session::opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialResponse, RegistrationResponse,
};
use strongroom_session::{OsRng, TransportKey};
use strongroom_wire::account::{Done, EnrolmentStarted, FinishEnrolment, StartEnrolment};
use strongroom_wire::credential::SecondFactor;
use strongroom_wire::health::{Health, Status};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::session::{
    FinishSecondFactor, FinishSignIn, SecondFactorNeeded, SignInFinished, SignInStarted, SignedIn,
    StartSignIn,
};

use crate::http::{Connection, Response};
use crate::session::Session;
use crate::stretching::Remembering;

/// Why a request brought nothing.
#[derive(Debug)]
pub enum Failed {
    /// The appliance refused it.
    Refused(Box<Problem>),
    /// The appliance was not there or went away: what became of the request is not known.
    Broken(io::Error),
}

impl Failed {
    /// The problem; a panic when the connection broke.
    #[must_use]
    pub fn problem(self) -> Problem {
        match self {
            Self::Refused(problem) => *problem,
            Self::Broken(error) => panic!("the connection broke: {error}"),
        }
    }

    /// The problem's code; a panic when the connection broke.
    #[must_use]
    pub fn code(self) -> Code {
        self.problem().code
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problem) => write!(f, "{}: {}", problem.code, problem.detail),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// What a request brought, or why nothing.
pub type Result<T> = std::result::Result<T, Failed>;

/// One of the two listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// For those who use keys.
    Client,
    /// For administrators.
    Administration,
}

/// Where a right password has led.
pub enum Entered {
    /// Into a session.
    Session(Box<Session>),
    /// To a second factor; the transport key of the session to be.
    SecondFactor(SecondFactorNeeded, TransportKey),
}

/// Where an appliance is.
#[derive(Clone)]
pub struct Api {
    /// The client listener.
    pub client: SocketAddr,
    /// The administration listener.
    pub admin: SocketAddr,
    /// How to speak with both.
    pub tls: Arc<ClientConfig>,
    /// The address to speak from; the system's choice where it is absent.
    pub source: Option<IpAddr>,
    /// The domain that requests name; none where it is absent.
    pub domain: Option<String>,
}

impl Api {
    /// Connects to a listener.
    ///
    /// # Errors
    ///
    /// Those of the network and of TLS.
    pub fn connect(&self, listener: Listener) -> io::Result<Connection> {
        let address = match listener {
            Listener::Client => self.client,
            Listener::Administration => self.admin,
        };
        let mut connection = Connection::open_from(self.source, address, &self.tls)?;
        connection.domain.clone_from(&self.domain);
        Ok(connection)
    }

    /// The same for a domain of this name.
    #[must_use]
    pub fn in_domain(&self, name: &str) -> Self {
        Self {
            domain: Some(name.to_owned()),
            ..self.clone()
        }
    }

    /// The same, spoken with from this address.
    #[must_use]
    pub fn from(&self, source: IpAddr) -> Self {
        Self {
            source: Some(source),
            ..self.clone()
        }
    }

    /// Makes one request on a connection of its own, in no session.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let body = body.map(|body| serde_json::to_vec(body).unwrap());
        let response = self
            .connect(Listener::Client)?
            .send(method, path, None, body.as_deref())?;
        read(&response)
    }

    /// How the appliance is; it says so whatever its state is.
    ///
    /// # Errors
    ///
    /// Those of the network.
    pub fn health(&self) -> io::Result<Health> {
        let mut connection = self.connect(Listener::Client)?;
        let response = connection.send("GET", "/v1/health", None, None)?;
        let health: Health = response.json();
        assert_eq!(
            response.status == 200,
            health.status == Status::Ok,
            "{health:?}"
        );
        Ok(health)
    }

    /// Enrols an account's holder with the one-time code.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn enrol(&self, account: &str, code: &str, password: &str) -> Result<Done> {
        let start =
            ClientRegistration::<Remembering>::start(&mut OsRng, password.as_bytes()).unwrap();
        let started: EnrolmentStarted = self.ask(
            "POST",
            "/v1/enrolments/start",
            Some(&StartEnrolment {
                account: account.to_owned(),
                code: code.to_owned(),
                request: start.message.serialize().as_slice().into(),
            }),
        )?;
        let server = server_identity(&started.domain);
        let finish = start
            .state
            .finish(
                &mut OsRng,
                password.as_bytes(),
                RegistrationResponse::deserialize(&started.response.0).unwrap(),
                ClientRegistrationFinishParameters::new(identifiers(account, &server), None),
            )
            .unwrap();
        self.ask(
            "POST",
            "/v1/enrolments/finish",
            Some(&FinishEnrolment {
                account: account.to_owned(),
                code: code.to_owned(),
                upload: finish.message.serialize().as_slice().into(),
            }),
        )
    }

    /// Signs in to an account without a second factor.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn sign_in(&self, account: &str, password: &str) -> Result<Session> {
        match self.enter(account, password)? {
            Entered::Session(session) => Ok(*session),
            Entered::SecondFactor(needed, _) => panic!("{account} has a second factor: {needed:?}"),
        }
    }

    /// Signs in with a password. A client that sees by KE2 that its password is wrong would stop there; this one sends a KE3 all the same, to be
    /// told by the appliance.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn enter(&self, account: &str, password: &str) -> Result<Entered> {
        let start = ClientLogin::<Remembering>::start(&mut OsRng, password.as_bytes()).unwrap();
        let started: SignInStarted = self.ask(
            "POST",
            "/v1/sessions/start",
            Some(&StartSignIn {
                account: account.to_owned(),
                ke1: start.message.serialize().as_slice().into(),
            }),
        )?;
        let server = server_identity(&started.domain);
        let finish = start.state.finish(
            &mut OsRng,
            password.as_bytes(),
            CredentialResponse::deserialize(&started.ke2.0).unwrap(),
            ClientLoginFinishParameters::new(Some(CONTEXT), identifiers(account, &server), None),
        );
        let (ke3, session_key) = match finish {
            Ok(finish) => (
                finish.message.serialize().to_vec(),
                finish.session_key.to_vec(),
            ),
            Err(_) => (vec![7; 64], vec![0; 64]),
        };
        let finished: SignInFinished = self.ask(
            "POST",
            "/v1/sessions/finish",
            Some(&FinishSignIn {
                sign_in: started.sign_in,
                ke3: ke3.into(),
            }),
        )?;
        let transport = TransportKey::derive(&session_key);
        match finished {
            SignInFinished::SignedIn(signed_in) => {
                let session = Session::of(self, signed_in, transport);
                Ok(Entered::Session(Box::new(session)))
            }
            SignInFinished::SecondFactor { second_factor } => {
                Ok(Entered::SecondFactor(second_factor, transport))
            }
        }
    }

    /// Ends a sign-in that waits for a second factor.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn prove(
        &self,
        needed: &SecondFactorNeeded,
        transport: &TransportKey,
        proof: SecondFactor,
    ) -> Result<Session> {
        let signed_in: SignedIn = self.ask(
            "POST",
            "/v1/sessions/second-factor",
            Some(&FinishSecondFactor {
                sign_in: needed.sign_in,
                proof,
            }),
        )?;
        Ok(Session::of(self, signed_in, transport.clone()))
    }
}

/// What a response brought.
///
/// # Errors
///
/// The problem, where it is one.
pub fn read<T: DeserializeOwned>(response: &Response) -> Result<T> {
    if response.status >= 400 {
        Err(Failed::Refused(Box::new(response.problem())))
    } else {
        Ok(response.json())
    }
}
