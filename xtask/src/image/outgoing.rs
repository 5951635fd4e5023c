//! The matrix's cases of whom a machine goes to: a store that its backups are sent to, from one of which another machine becomes the appliance; a
//! receiver of its log.

use anyhow::{Result, bail};

use super::{
    keys,
    machine::{HOST, Machine, Network, Running},
    matrix::{Case, Matrix, order, turn_off},
    outside::{CERTIFICATE, Outside, Receiver, Store},
    play, recovery,
    seeds::{Place, sign},
};

impl Matrix<'_> {
    /// The cases of whom a machine goes to.
    pub(super) fn outgoing(&self) -> Vec<Case<'_>> {
        vec![
            (
                "a backup sent to a store, and another machine that becomes its appliance by two custodians",
                Box::new(|| self.brought_back()),
            ),
            (
                "the machine's log and the audit log, forwarded to a receiver by TLS",
                Box::new(|| self.forwarded()),
            ),
        ]
    }

    fn forwarded(&self) -> Result<String> {
        const LAST: &str = " appliance.attest ";
        let receiver = Receiver::start(self.folder("receiver"))?;
        let network = Network::Reaching(self.listeners, receiver.outside().port());
        let machine = Machine::new(self.bench, self.disk, self.folder("forwarding"))?;
        let siem = format!(
            "[[strongroomd.siem]]\nname = \"soc\"\naddress = \"{HOST}\"\nca = \"site/{CERTIFICATE}\"\njournal = true\n"
        );
        let mut running = self.start_with_seed(&machine, network, receiver.outside(), &siem)?;
        play::until_it_serves(&mut running)?;
        let messages = running.wait_for("the leaf of an attestation at the receiver", |_| {
            let messages = receiver.messages().ok()?;
            messages
                .iter()
                .any(|one| one.contains(LAST))
                .then_some(messages)
        })?;
        let machines = messages
            .iter()
            .filter(|one| one.contains("[journal@"))
            .count();
        let unit = " [journal@32473 unit=\"strongroomd.service\"] ";
        if !messages.iter().any(|one| one.contains(unit)) {
            bail!("of {machines} messages of the machine none is the service's");
        }
        turn_off(&mut running)?;
        Ok(format!(
            "a receiver had {} messages, {machines} of them of the machine's units and kernel",
            messages.len()
        ))
    }

    fn brought_back(&self) -> Result<String> {
        let store = Store::start(self.folder("store"))?;
        let network = Network::Reaching(self.listeners, store.outside().port());
        let people = self.folder("restored-people");
        play::fresh(&people)?;

        let target = format!(
            "[strongroomd.backup]\nfolder = \"backups\"\n[strongroomd.backup.target]\nurl = \"https://{HOST}/backups/\"\nca = \"site/{CERTIFICATE}\"\n"
        );
        let machine = Machine::new(self.bench, self.disk, self.folder("backed-up"))?;
        let mut running = self.start_with_seed(&machine, network, store.outside(), &target)?;
        let shown = play::until_it_serves(&mut running)?;
        play::story(self.strongroom, self.listeners, &shown, &people)?;
        running.mark()?;
        order(&mut running, "c", "ceremony")?;
        operator(&mut running)?;
        recovery::answer(&mut running, "How many custodians get a share?", "3")?;
        for number in 1..=3 {
            let name = format!("Custodian {number}");
            recovery::answer(
                &mut running,
                &format!("Name of custodian {number}: "),
                &name,
            )?;
        }
        recovery::answer(&mut running, "are to be able to recover?", "2")?;
        recovery::answer(&mut running, "Begin? (yes/no)", "yes")?;
        let mut papers = Vec::new();
        for custodian in 1..=3 {
            papers.push(recovery::write_down(&mut running, custodian)?);
        }
        let [first, second, third] = papers.as_slice() else {
            bail!("there are three custodians");
        };
        recovery::give_back(&mut running, third)?;
        recovery::give_back(&mut running, first)?;
        let backup = running.wait_for("the backup that these custodians open", |said| {
            let (_, rest) = said.split_once("A backup that these custodians open: ")?;
            let (path, _) = rest.split_once('\n')?;
            path.rsplit('/').next().map(|name| name.trim().to_owned())
        })?;
        running.mark()?;
        play::until_it_serves(&mut running)?;
        store.wait_for(&backup)?;
        turn_off(&mut running)?;
        drop(running);

        // A machine that has nothing of the one before.
        let machine = Machine::new(self.bench, self.disk, self.folder("brought-back"))?;
        let restore = format!(
            "{target}[restore]\nfrom = \"https://{HOST}/backups/{backup}\"\nca = \"site/{CERTIFICATE}\"\n"
        );
        let mut running = self.start_with_seed(&machine, network, store.outside(), &restore)?;
        running.wait_for_words("waiting for those who bring the appliance back from a backup")?;
        if play::answers(self.listeners) {
            bail!("something answers on the client port before the appliance is brought back");
        }
        let since = running.time();
        running.mark()?;
        running.type_line("b")?;
        operator(&mut running)?;
        recovery::answer(&mut running, "Begin? (yes/no)", "yes")?;
        recovery::give_back(&mut running, second)?;
        recovery::give_back(&mut running, first)?;
        running.wait_for_words("The appliance is recovered")?;
        running.mark()?;
        let again = play::until_it_serves(&mut running)?;
        let took = running.time().saturating_sub(since);
        if again.authority == shown.authority || !again.code.is_empty() {
            bail!("the console shows the appliance from before, or an enrolment code");
        }
        let elsewhere = self.folder("restored-authority");
        play::fresh(&elsewhere)?;
        let ca = play::fetch_authority(self.listeners, &again, &elsewhere)?;
        let log = play::sign_in_elsewhere(self.strongroom, self.listeners, &people, &ca)?;
        if !log.contains("key.destroy") {
            bail!("the audit log has lost what was done in the story");
        }
        turn_off(&mut running)?;
        Ok(format!(
            "2 of 3 custodians typed their shares at a machine that had nothing; it serves {} later, with all accounts and the log",
            crate::terminal::duration(took)
        ))
    }

    fn start_with_seed(
        &self,
        machine: &Machine,
        network: Network,
        outside: &Outside,
        says: &str,
    ) -> Result<Running> {
        let certificate = super::read(&outside.certificate())?;
        let text = format!(
            "# Strongroom seed, format 1\n{says}[files]\n\"{CERTIFICATE}\" = \"\"\"\n{certificate}\"\"\"\n"
        );
        let seed = machine.folder().join("strongroom.seed");
        sign(&self.bench.keys.join(keys::SEED.0), &text, &seed)?;
        machine.start_with(network, &Place::FwCfg.give(self.bench, &seed)?)
    }
}

/// Who holds the ceremony.
fn operator(running: &mut Running) -> Result<()> {
    recovery::answer(running, "How many operators hold the ceremony?", "1")?;
    recovery::answer(running, "Name of operator 1: ", "Olga")
}
