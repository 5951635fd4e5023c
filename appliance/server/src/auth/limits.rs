//! Repeated failures slow an account and a source address down.
//!
//! Each account name and each address has a budget of failures that fills up again with time. An attempt takes one from both before
//! it is looked at and gets it back when it turns out well, so that many attempts at once cannot all slip through the last place.
//! A sign-in holds its place from its start to its finish: in OPAQUE a client that guesses learns from the answer to the *start*
//! whether it guessed right, so that a start that is never finished is a failure.
//!
//! Names that exist and names that do not have budgets alike.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::{Quota, RateLimiter};

use crate::config::Limits;

/// How many budgets there can be of one kind. Names beyond share them: memory stays bounded whatever strangers send.
const PLACES: u64 = 1 << 20;

/// The budgets of all accounts and addresses.
pub(crate) struct SignInLimits<C: Clock = DefaultClock> {
    accounts: Budgets<C>,
    addresses: Budgets<C>,
}

/// The budget is used up: how long until the next attempt is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) Duration);

impl SignInLimits {
    /// With budgets as configured, all full.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::with_clock(limits, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> SignInLimits<C> {
    fn with_clock(limits: &Limits, clock: &C) -> Self {
        Self {
            accounts: Budgets::new(
                limits.account_failures,
                limits.account_failure_seconds,
                clock.clone(),
            ),
            addresses: Budgets::new(
                limits.address_failures,
                limits.address_failure_seconds,
                clock.clone(),
            ),
        }
    }

    /// Lets an attempt in and counts it as failed until [`SignInLimits::give_back`].
    pub(crate) fn admit(&self, account: &str, source: IpAddr) -> Result<(), TooMany> {
        self.admit_source(source)?;
        self.accounts
            .take(&account.to_lowercase())
            .inspect_err(|_| self.addresses.give_back(&network(source)))
    }

    /// As [`SignInLimits::admit`], for an attempt that names no account.
    pub(crate) fn admit_source(&self, source: IpAddr) -> Result<(), TooMany> {
        self.addresses.take(&network(source))
    }

    /// An admitted attempt turned out well, or failed by no fault of the one who made it.
    pub(crate) fn give_back(&self, account: &str, source: IpAddr) {
        self.accounts.give_back(&account.to_lowercase());
        self.addresses.give_back(&network(source));
    }

    /// As [`SignInLimits::give_back`], for an attempt that named no account.
    pub(crate) fn give_back_source(&self, source: IpAddr) {
        self.addresses.give_back(&network(source));
    }

    /// Forgets the budgets that are full again.
    pub(crate) fn forget_idle(&self) {
        self.accounts.limiter.retain_recent();
        self.addresses.limiter.retain_recent();
    }
}

/// Who shares a budget: an IPv4 address; an IPv6 /64, as one host has all of it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
    }
}

/// Budgets of one kind, by a keyed hash of the name, so that no name is kept and nobody can choose who shares with whom.
struct Budgets<C: Clock> {
    limiter: RateLimiter<u32, Store, C, NoOpMiddleware<C::Instant>>,
    store: Store,
    interval: Nanos,
    hasher: RandomState,
}

impl<C: Clock> Budgets<C> {
    fn new(burst: NonZeroU32, interval_seconds: NonZeroU32, clock: C) -> Self {
        let interval = Duration::from_secs(interval_seconds.get().into());
        let quota = Quota::with_period(interval)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let store = Store::default();
        Self {
            limiter: RateLimiter::new(quota, store.clone(), clock),
            store,
            interval: interval.into(),
            hasher: RandomState::new(),
        }
    }

    fn take(&self, name: &impl Hash) -> Result<(), TooMany> {
        self.limiter
            .check_key(&self.place(name))
            .map_err(|until| TooMany(until.wait_time_from(self.limiter.clock().now())))
    }

    /// governor has no refund: this moves the time at which the budget will be full (GCRA's theoretical arrival time) back by one.
    fn give_back(&self, name: &impl Hash) {
        let moved = self
            .store
            .measure_and_replace(&self.place(name), |full_at| {
                full_at
                    .map(|full_at| ((), full_at.saturating_sub(self.interval)))
                    .ok_or(())
            });
        // A budget that has been forgotten meanwhile is full.
        moved.unwrap_or(());
    }

    fn place(&self, name: &impl Hash) -> u32 {
        // Below PLACES, so it fits.
        u32::try_from(self.hasher.hash_one(name) % PLACES).unwrap_or_default()
    }
}

/// governor's own store, shared between its limiter and [`Budgets::give_back`].
#[derive(Clone, Default)]
struct Store(Arc<DashMapStateStore<u32>>);

impl StateStore for Store {
    type Key = u32;

    fn measure_and_replace<T, F, E>(&self, key: &u32, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, f)
    }
}

impl ShrinkableKeyedStateStore<u32> for Store {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn len(&self) -> usize {
        ShrinkableKeyedStateStore::len(&*self.0)
    }

    fn is_empty(&self) -> bool {
        ShrinkableKeyedStateStore::is_empty(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::net::Ipv4Addr;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits() -> (SignInLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (SignInLimits::with_clock(&Limits::default(), &clock), clock)
    }

    /// The n-th address of many.
    fn address(n: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))
    }

    #[test]
    fn an_account_has_ten_failures_and_then_one_each_six_seconds() {
        let (limits, clock) = limits();
        for n in 0..10 {
            limits.admit("alice@example.com", address(n)).unwrap();
        }
        // From wherever it comes and however it is spelt.
        let refused = limits.admit("Alice@Example.com", address(99)).unwrap_err();
        assert_eq!(refused, TooMany(Duration::from_secs(6)));
        limits.admit("bob@example.com", address(99)).unwrap();

        clock.advance(Duration::from_secs(5));
        let refused = limits.admit("alice@example.com", address(99)).unwrap_err();
        assert_eq!(refused, TooMany(Duration::from_secs(1)));
        clock.advance(Duration::from_secs(1));
        limits.admit("alice@example.com", address(99)).unwrap();
        limits.admit("alice@example.com", address(99)).unwrap_err();

        clock.advance(Duration::from_mins(1));
        for n in 0..10 {
            limits.admit("alice@example.com", address(n)).unwrap();
        }
        limits.admit("alice@example.com", address(1)).unwrap_err();
    }

    #[test]
    fn an_address_has_fifty_failures_whatever_it_names() {
        let (limits, clock) = limits();
        for n in 0..50 {
            limits.admit(&format!("account-{n}"), address(1)).unwrap();
        }
        let refused = limits.admit("account-50", address(1)).unwrap_err();
        assert_eq!(refused, TooMany(Duration::from_secs(1)));
        assert_eq!(limits.admit_source(address(1)), Err(refused));
        limits.admit("account-50", address(2)).unwrap();
        clock.advance(Duration::from_secs(1));
        limits.admit_source(address(1)).unwrap();
    }

    #[test]
    fn what_turns_out_well_costs_nothing() {
        let (limits, _clock) = limits();
        for _ in 0..1000 {
            limits.admit("alice@example.com", address(1)).unwrap();
            limits.give_back("alice@example.com", address(1));
        }
        // And it hides no failure: nine before it, one after it, and the budget is used up.
        for _ in 0..9 {
            limits.admit("alice@example.com", address(1)).unwrap();
        }
        limits.admit("alice@example.com", address(1)).unwrap();
        limits.give_back("alice@example.com", address(1));
        limits.admit("alice@example.com", address(1)).unwrap();
        limits.admit("alice@example.com", address(1)).unwrap_err();
    }

    #[test]
    fn an_attempt_on_a_slowed_account_costs_its_address_nothing() {
        let (limits, _clock) = limits();
        for n in 0..10 {
            limits.admit("alice@example.com", address(n + 1)).unwrap();
        }
        for _ in 0..1000 {
            limits.admit("alice@example.com", address(0)).unwrap_err();
        }
        limits.admit("bob@example.com", address(0)).unwrap();
    }

    #[test]
    fn what_is_given_back_late_makes_no_credit() {
        let (limits, clock) = limits();
        limits.admit("alice@example.com", address(1)).unwrap();
        clock.advance(Duration::from_hours(1));
        for _ in 0..100 {
            limits.give_back("alice@example.com", address(1));
        }
        limits.give_back("nobody@example.com", address(2));
        for _ in 0..10 {
            limits.admit("alice@example.com", address(1)).unwrap();
        }
        limits.admit("alice@example.com", address(1)).unwrap_err();
    }

    #[test]
    fn idle_budgets_are_forgotten_and_used_ones_kept() {
        let (limits, clock) = limits();
        for n in 0..100 {
            limits.admit(&format!("account-{n}"), address(n)).unwrap();
        }
        clock.advance(Duration::from_hours(1));
        for _ in 0..10 {
            limits.admit("alice@example.com", address(200)).unwrap();
        }
        limits.forget_idle();
        assert_eq!(limits.accounts.store.len(), 1);
        assert_eq!(limits.addresses.store.len(), 1);
        limits.admit("alice@example.com", address(201)).unwrap_err();
    }

    #[test]
    fn one_host_has_one_ipv6_budget() {
        let within = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::"];
        let [a, b] = within.map(|text| network(text.parse().unwrap()));
        assert_eq!(a, b);
        assert_ne!(a, network("2001:db8:1:3::1".parse().unwrap()));
        assert_ne!(network(address(1)), network(address(2)));
    }
}
