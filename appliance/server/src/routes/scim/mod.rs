//! SCIM 2.0 (RFC 7644) for directories, on the administration listener under `/scim/v2`.
//!
//! SCIM describes itself (`/Schemas`, `/ResourceTypes`, `/ServiceProviderConfig`: `describe`), so these routes stand in no OpenAPI document.
//! Errors have SCIM's own form (`failure`); what is read of a request stands in `request`.

mod describe;
mod failure;
mod request;

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use strongroom_keystore::directories::{Change, DirectoryCall, Find, Written};
use strongroom_keystore::{Answer as KeystoreAnswer, Keystore};
use strongroom_scim::filter::Filter;
use strongroom_scim::patch::Patch;
use strongroom_scim::{
    BASE, MEDIA_TYPE, Resource, ResourceType, Selection, list_response, resource,
};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Code;

use self::failure::ScimFailure;
use self::request::{Directory, Search, header, read_body, read_search, selection};
use super::{Leaf, wait_for};
use crate::auth::limits::SignInLimits;
use crate::gate::OpenKeystore;
use crate::problems::Failure;

/// How many resources a page has where none is asked for, and at most.
const PAGE: u64 = 100;
const LONGEST_PAGE: u64 = 1000;
/// What failed attempts of directories are counted against, beside their address.
const DIRECTORIES: &str = "directories";

/// The index of the audit leaf of what was done or refused: SCIM's bodies have no place for it.
const LEAF: HeaderName = HeaderName::from_static("strongroom-leaf");

type Answer = Result<HttpResponse, ScimFailure>;

/// The routes.
pub(super) fn routes(services: &mut web::ServiceConfig) {
    let read_only = |path| web::resource(path).default_service(web::to(wrong_method));
    let resources = |resource_type: ResourceType| {
        let endpoint = resource_type.endpoint();
        web::scope(&format!("/{endpoint}"))
            .app_data(web::Data::new(resource_type))
            .service(
                web::resource("")
                    .get(list)
                    .post(create)
                    .default_service(web::to(wrong_method)),
            )
            .service(
                web::resource("/.search")
                    .post(search)
                    .default_service(web::to(wrong_method)),
            )
            .service(
                web::resource("/{id}")
                    .get(show)
                    .put(replace)
                    .patch(patch)
                    .delete(delete)
                    .default_service(web::to(wrong_method)),
            )
    };
    services.service(
        web::scope(BASE)
            .service(resources(ResourceType::User))
            .service(resources(ResourceType::Group))
            .service(
                web::resource("/.search")
                    .post(search_all)
                    .default_service(web::to(wrong_method)),
            )
            .service(read_only("/ServiceProviderConfig").get(describe::config))
            .service(read_only("/ResourceTypes").get(describe::resource_types))
            .service(read_only("/ResourceTypes/{name}").get(describe::resource_type))
            .service(read_only("/Schemas").get(describe::schemas))
            .service(read_only("/Schemas/{id}").get(describe::schema_with))
            .default_service(web::to(nothing_here)),
    );
}

/// Makes one call into the keystore for a directory; a token that is none counts against its address.
async fn ask<T: Send + 'static>(
    keystore: OpenKeystore,
    limits: web::Data<SignInLimits>,
    call: &DirectoryCall,
    run: impl FnOnce(&Keystore) -> KeystoreAnswer<T> + Send + 'static,
) -> Result<T, ScimFailure> {
    let budget = keystore.budget(DIRECTORIES);
    limits.check(&budget, call.source).map_err(Failure::from)?;
    let answer = wait_for(move || run(&keystore)).await?;
    answer.map_err(|refusal| {
        let failure = ScimFailure::from(refusal);
        if failure.failure.code() == Code::NotSignedIn {
            limits.count(&budget, Some(call.source), call.source);
        }
        failure
    })
}

type Endpoint = web::Data<ResourceType>;
type Limits = web::Data<SignInLimits>;

async fn list(
    directory: Directory,
    request: HttpRequest,
    of: Endpoint,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let search = request::query(&request)?.into();
    page(directory, &[**of], search, limits, keystore).await
}

async fn search(
    directory: Directory,
    request: HttpRequest,
    payload: web::Payload,
    of: Endpoint,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let search = read_search(&request, payload).await?;
    page(directory, &[**of], search, limits, keystore).await
}

/// Users and groups at once (RFC 7644 section 3.4.3, at the root).
async fn search_all(
    directory: Directory,
    request: HttpRequest,
    payload: web::Payload,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let search = read_search(&request, payload).await?;
    page(directory, &ResourceType::ALL, search, limits, keystore).await
}

/// A page of the resources of these types, one type after the other.
async fn page(
    directory: Directory,
    of: &[ResourceType],
    search: Search,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let selection = Selection::new(search.attributes, search.excluded_attributes)?;
    let start = search.start_index.unwrap_or(1).max(1).unsigned_abs();
    let count = search
        .count
        .map_or(PAGE, |count| count.max(0).unsigned_abs())
        .min(LONGEST_PAGE);
    let mut finds = Vec::with_capacity(of.len());
    let mut unreadable = None;
    for &resource_type in of {
        let filter = search.filter.as_deref();
        match filter
            .map(|text| Filter::parse(resource_type, text))
            .transpose()
        {
            Ok(filter) => finds.push(Find {
                resource_type,
                filter,
                after: start - 1,
                limit: count,
                with_members: selection.shows("members"),
            }),
            // A filter may be of attributes that one type alone has: it chooses none of the others.
            Err(error) => unreadable = Some(error),
        }
    }
    if let (Some(error), true) = (unreadable, finds.is_empty()) {
        return Err(error.into());
    }
    let call = directory.call.clone();
    let (total, found) = ask(keystore, limits, &directory.call, move |keystore| {
        let (mut total, mut found) = (0, Vec::new());
        for mut find in finds {
            find.after = find.after.saturating_sub(total);
            find.limit -= found.len() as u64;
            let (of_this_type, resources) = keystore.directory_resources(&call, &find)?;
            total += of_this_type;
            found.extend(resources.into_iter().map(|one| (find.resource_type, one)));
        }
        Ok((total, found))
    })
    .await?;
    let found = found
        .into_iter()
        .map(|(of, resource)| selection.apply(located(of, &directory.base, resource)))
        .collect();
    Ok(answer(StatusCode::OK, &list_response(total, start, found)))
}

async fn show(
    directory: Directory,
    request: HttpRequest,
    id: web::Path<String>,
    of: Endpoint,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let selection = selection(&request)?;
    let (of, id, call) = (**of, identifier(&id)?, directory.call.clone());
    let with_members = selection.shows("members");
    let resource = ask(keystore, limits, &directory.call, move |keystore| {
        keystore.directory_resource(&call, of, id, with_members)
    })
    .await?;
    let version = version_of(&resource);
    if let (Some(known), Some(version)) = (header(&request, &IF_NONE_MATCH), &version)
        && known.split(',').any(|tag| tag.trim() == version)
    {
        let mut response = HttpResponse::NotModified();
        return Ok(response.insert_header((ETAG, version.as_str())).finish());
    }
    Ok(one(
        StatusCode::OK,
        located(of, &directory.base, resource),
        &selection,
        None,
    ))
}

async fn create(
    directory: Directory,
    request: HttpRequest,
    payload: web::Payload,
    of: Endpoint,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let (of, selection) = (**of, selection(&request)?);
    let wanted = resource::read(of, &read_body(&request, payload).await?)?;
    let call = directory.call.clone();
    let made = ask(
        keystore,
        limits,
        &directory.call,
        move |keystore| match of {
            ResourceType::User => keystore.create_user(&call, wanted),
            ResourceType::Group => keystore.create_group(&call, wanted),
        },
    )
    .await?;
    let resource = located(of, &directory.base, made.resource);
    Ok(one(StatusCode::CREATED, resource, &selection, made.leaf))
}

async fn replace(
    directory: Directory,
    request: HttpRequest,
    payload: web::Payload,
    id: web::Path<String>,
    of: Endpoint,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let wanted = resource::read(**of, &read_body(&request, payload).await?)?;
    let change = Change::Replace(wanted);
    changed(directory, &request, &id, **of, change, limits, keystore).await
}

async fn patch(
    directory: Directory,
    request: HttpRequest,
    payload: web::Payload,
    id: web::Path<String>,
    of: Endpoint,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let change = Change::Patch(Patch::parse(&read_body(&request, payload).await?)?);
    changed(directory, &request, &id, **of, change, limits, keystore).await
}

async fn changed(
    directory: Directory,
    request: &HttpRequest,
    id: &str,
    of: ResourceType,
    change: Change,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let (id, selection) = (identifier(id)?, selection(request)?);
    let (condition, call) = (header(request, &IF_MATCH), directory.call.clone());
    let Written { resource, leaf } = ask(
        keystore,
        limits,
        &directory.call,
        move |keystore| match of {
            ResourceType::User => keystore.change_user(&call, id, change, condition),
            ResourceType::Group => keystore.change_group(&call, id, change, condition),
        },
    )
    .await?;
    let resource = located(of, &directory.base, resource);
    Ok(one(StatusCode::OK, resource, &selection, leaf))
}

async fn delete(
    directory: Directory,
    request: HttpRequest,
    id: web::Path<String>,
    of: Endpoint,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let (of, id) = (**of, identifier(&id)?);
    let (condition, call) = (header(&request, &IF_MATCH), directory.call.clone());
    let leaf = ask(
        keystore,
        limits,
        &directory.call,
        move |keystore| match of {
            ResourceType::User => keystore.delete_user(&call, id, condition),
            ResourceType::Group => keystore.delete_group(&call, id, condition),
        },
    )
    .await?;
    let mut response = HttpResponse::NoContent();
    let mut response = response.insert_header((LEAF, leaf)).finish();
    response.extensions_mut().insert(Leaf(leaf));
    Ok(response)
}

async fn wrong_method() -> Answer {
    Err(Failure::new(
        Code::MethodNotAllowed,
        "This address does not take this method.",
    )
    .into())
}

async fn nothing_here() -> Answer {
    Err(Failure::no_such_route().into())
}

/// What is no identifier is that of nothing.
fn identifier(text: &str) -> Result<AccountId, ScimFailure> {
    text.parse().map_err(|_| {
        Failure::new(Code::AccountNotFound, "There is no resource with this id.").into()
    })
}

fn version_of(resource: &Resource) -> Option<String> {
    let version = resource.get("meta")?.get("version")?;
    version.as_str().map(str::to_owned)
}

/// Adds the addresses of the resource and of what it refers to.
fn located(of: ResourceType, base: &str, mut resource: Resource) -> Resource {
    let at = |of: ResourceType, id: &Value| {
        let id = id.as_str().unwrap_or_default();
        Value::String(format!("{base}{BASE}/{}/{id}", of.endpoint()))
    };
    let own = resource.get("id").map(|id| at(of, id));
    if let (Some(meta), Some(own)) = (resource.get_mut("meta"), own) {
        meta["location"] = own;
    }
    for (name, other) in [
        ("groups", ResourceType::Group),
        ("members", ResourceType::User),
    ] {
        let values = resource.get_mut(name).and_then(Value::as_array_mut);
        for value in values.into_iter().flatten() {
            value["$ref"] = at(other, &value["value"]);
        }
    }
    resource
}

fn one(
    status: StatusCode,
    resource: Resource,
    selection: &Selection,
    leaf: Option<u64>,
) -> HttpResponse {
    let location = json!(resource.get("meta").map(|meta| &meta["location"]));
    let version = version_of(&resource);
    let mut response = HttpResponse::build(status);
    response.content_type(MEDIA_TYPE);
    if let Some(version) = version {
        response.insert_header((ETAG, version));
    }
    if let Some(location) = location.as_str() {
        response.insert_header((LOCATION, location));
    }
    if let Some(leaf) = leaf {
        response.insert_header((LEAF, leaf));
    }
    let mut response = response.body(selection.apply(resource).to_string());
    if let Some(leaf) = leaf {
        response.extensions_mut().insert(Leaf(leaf));
    }
    response
}

fn answer(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(MEDIA_TYPE)
        .body(body.to_string())
}
