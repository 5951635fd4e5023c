//! JSON bodies of requests, of bounded size.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::{JsonBody, Payload};
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};

use strongroom_wire::problem::Code;

use crate::config::Limits;
use crate::problems::Failure;

/// The largest bodies that are read, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    usual: usize,
    large: usize,
}

impl BodyLimits {
    /// The limit of an address that takes many things at once, or of any other.
    pub(crate) const fn of(self, large: bool) -> usize {
        if large { self.large } else { self.usual }
    }
}

impl From<&Limits> for BodyLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            usual: limits.body,
            large: limits.keys_body,
        }
    }
}

/// A JSON body.
pub(crate) struct Json<T, const LARGE: bool = false>(pub(crate) T);

/// A JSON body that lists many things.
pub(crate) type LargeJson<T> = Json<T, true>;

impl<T: DeserializeOwned + 'static, const LARGE: bool> FromRequest for Json<T, LARGE> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = JsonBody::<Object<T>>::new(request, payload, None, true);
        let limits = request.app_data::<web::Data<BodyLimits>>().cloned();
        Box::pin(async move {
            let limits = limits.ok_or_else(Failure::internal)?;
            Ok(Self(body.limit(limits.of(LARGE)).await?.0))
        })
    }
}

/// The bytes of a body that is not JSON alone.
///
/// # Errors
///
/// It is larger than the limit, by what it announces or by what it is, or does not arrive whole.
pub(crate) async fn bytes(
    request: &HttpRequest,
    body: web::Payload,
    limit: usize,
) -> Result<web::Bytes, Failure> {
    let too_large = || {
        Failure::new(
            Code::TooLarge,
            format!("The body is larger than the {limit} bytes that this address takes."),
        )
    };
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    match body.to_bytes_limited(limit).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(Failure::new(
            Code::Malformed,
            "The body did not arrive whole.",
        )),
        Err(_) => Err(too_large()),
    }
}

/// What stands in a JSON object. By itself serde takes an array for a structure as well, member by member, and an empty one for a
/// structure of which everything may be left out.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}
