//! `cargo xtask bench --lists`: how long each list and search of the web interfaces waits for the database, where there are a million of everything.
//!
//! It fills a database through the store's own acts, with a million each of keys (all of one holder), records, accounts, cases and proposals, and asks for what
//! the pages ask for. What stands in the rows is what the appliance writes, but for the seals and MACs: the keystore checks those of what a page shows, fifty
//! of them, and never of what a search passes by. Of a few runs the median is printed, in milliseconds. `--database` keeps the database for the next time.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark: what does not work here ends it"
)]

mod fill;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::store::{
    AccountFilter, AuthorisationFilter, KeyFilter, LeafFilter, ProposalFilter, Snapshot, Store,
    Waiting, WaitingFilter,
};
use strongroom_wire::account::{AccountState, Role};
use strongroom_wire::authorisation::AuthorisationState;
use strongroom_wire::key::KeyState;

use fill::{ALICE, APPROVER, BOB, CAROL, DOMAIN, OFFICER, moment};

/// Measures lists and searches in a large database.
#[derive(Debug, Parser)]
#[command(name = "lists")]
struct Arguments {
    /// How many there are of everything.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..))]
    rows: u32,
    /// Where the database is, or is to be made and left. By default it is made in a temporary folder.
    #[arg(long)]
    database: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Figure {
    list: &'static str,
    /// The median of the runs.
    milliseconds: f64,
    /// How many rows the page has.
    found: usize,
}

/// How many a page shows, and the one by which it is known that there are more.
const A_PAGE: u32 = 51;
const RUNS: usize = 7;

fn main() {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir().unwrap();
    let path = arguments
        .database
        .clone()
        .unwrap_or_else(|| folder.path().join("lists.db"));
    let store = open(&path, arguments.rows);
    let figures = measure(&*store.snapshot().unwrap(), arguments.rows);
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&figures).unwrap()).unwrap();
        return;
    }
    for figure in figures {
        writeln!(
            out,
            "{:48} {:9.3} ms {:5} found",
            figure.list, figure.milliseconds, figure.found
        )
        .unwrap();
    }
}

fn open(path: &Path, rows: u32) -> SqliteStore {
    if path.exists() {
        return SqliteStore::open(path).unwrap();
    }
    let store = SqliteStore::create(path).unwrap();
    fill::fill(&store, rows);
    store
}

#[expect(clippy::too_many_lines, reason = "one list after the other")]
fn measure(view: &dyn Snapshot, rows: u32) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut time = |list: &'static str, ask: &dyn Fn() -> usize| {
        let mut found = 0;
        let mut times: Vec<Duration> = (0..RUNS)
            .map(|_| {
                let begun = Instant::now();
                found = ask();
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        figures.push(Figure {
            list,
            milliseconds: times[RUNS / 2].as_secs_f64() * 1000.0,
            found,
        });
    };
    let page = KeyFilter {
        limit: A_PAGE,
        ..KeyFilter::default()
    };
    let label = |label: &str| KeyFilter {
        label: Some(label.to_owned()),
        ..page.clone()
    };
    let keys = |filter: KeyFilter| {
        move || {
            view.find_keys(&[ALICE, fill::group(0)], &filter)
                .unwrap()
                .keys
                .len()
        }
    };
    time("keys: the newest", &keys(page.clone()));
    time("keys: a label that all have", &keys(label("series")));
    time("keys: a label that one has", &keys(label("report 17 of")));
    time(
        "keys: a label that none has",
        &keys(label("nothing like it")),
    );
    let groups: Vec<_> = (0..10).map(fill::group).collect();
    let nothing = label("nothing like it");
    time("keys: of ten groups, a label that none has", &|| {
        view.find_keys(&groups, &nothing).unwrap().keys.len()
    });
    let of = |sender, recipient| KeyFilter {
        sender,
        recipient,
        ..page.clone()
    };
    time("keys: from somebody", &keys(of(Some(BOB), None)));
    time("keys: to somebody", &keys(of(None, Some(CAROL))));
    let (from, until) = (moment(rows / 10), moment(rows / 10 + 20));
    let window = KeyFilter {
        from: Some(from),
        until: Some(until),
        ..page.clone()
    };
    time("keys: of a time long ago", &keys(window));
    let destroyed = KeyFilter {
        state: Some(KeyState::Destroyed),
        ..page
    };
    time("keys: in a rare state", &keys(destroyed));

    let leaves = |filter: LeafFilter| move || view.find_leaves(DOMAIN, &filter).unwrap().len();
    let records = LeafFilter {
        limit: A_PAGE,
        ..LeafFilter::default()
    };
    time("records: the newest", &leaves(records.clone()));
    let most = LeafFilter {
        limit: 10_000,
        ..records.clone()
    };
    time("records: as many as a search looks at", &|| {
        let found = view.find_leaves(DOMAIN, &most).unwrap();
        found.iter().filter(|leaf| leaf.leaf.open().is_ok()).count()
    });
    let history = LeafFilter {
        concerning: Some(ALICE),
        before: Some(u64::from(rows / 2)),
        ..records.clone()
    };
    time(
        "history: of one account, from the middle on",
        &leaves(history),
    );
    let of_key = LeafFilter {
        key: Some(fill::key(rows / 2)),
        ..records
    };
    time("history: of one key", &leaves(of_key));

    let accounts =
        |filter: AccountFilter| move || view.find_accounts(DOMAIN, &filter).unwrap().accounts.len();
    let page = AccountFilter {
        limit: A_PAGE,
        ..AccountFilter::default()
    };
    time("accounts: by name", &accounts(page.clone()));
    let named = |part: &str| AccountFilter {
        contains: Some(part.to_owned()),
        ..page.clone()
    };
    time(
        "accounts: a part of a name that one has",
        &accounts(named("000017@")),
    );
    time(
        "accounts: a part of a name that none has",
        &accounts(named("nobody")),
    );
    let suspended = AccountFilter {
        state: Some(AccountState::Suspended),
        ..page.clone()
    };
    time("accounts: in a rare state", &accounts(suspended));
    let role = AccountFilter {
        role: Some(Role::Auditor),
        ..page
    };
    time("accounts: with a role", &accounts(role));

    let cases = |states: &'static [AuthorisationState]| {
        move || {
            let filter = AuthorisationFilter {
                states,
                before: None,
                limit: A_PAGE,
            };
            view.authorisations(DOMAIN, &filter).unwrap().len()
        }
    };
    time("cases: the newest", &cases(&AuthorisationState::ALL));
    time(
        "cases: in a rare state",
        &cases(&[AuthorisationState::Cancelled]),
    );
    time(
        "cases: in one of two rare states",
        &cases(&[AuthorisationState::Cancelled, AuthorisationState::Approved]),
    );
    let mine = ProposalFilter {
        by: OFFICER,
        roles: &[Role::Administrator],
        open: None,
        before: None,
        limit: A_PAGE,
    };
    let proposals =
        |filter: ProposalFilter<'static>| move || view.proposals(DOMAIN, &filter).unwrap().len();
    time("proposals: of a role with few", &proposals(mine));
    let open = ProposalFilter {
        roles: &Role::ALL,
        open: Some(moment(rows)),
        ..mine
    };
    time("proposals: open ones", &proposals(open));
    for (list, what, account, state) in [
        (
            "tasks: of who approved nearly all",
            Waiting::Decision,
            APPROVER,
            AuthorisationState::AwaitingApproval,
        ),
        (
            "tasks: of who entered all",
            Waiting::Change,
            OFFICER,
            AuthorisationState::Rejected,
        ),
        (
            "tasks: of an executor",
            Waiting::Execution,
            ALICE,
            AuthorisationState::Approved,
        ),
        (
            "tasks: of a releaser",
            Waiting::Release,
            ALICE,
            AuthorisationState::Approved,
        ),
    ] {
        let filter = WaitingFilter {
            what,
            account,
            state,
            now: moment(rows),
            after: None,
            limit: A_PAGE,
        };
        time(list, &|| {
            view.authorisations_waiting(DOMAIN, &filter).unwrap().len()
        });
    }
    figures
}
