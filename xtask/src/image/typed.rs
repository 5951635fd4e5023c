//! The matrix's cases of what is typed at the console: an address, a name.

use anyhow::{Result, bail};

use super::{
    machine::Network,
    matrix::{Case, Matrix, restart, turn_off},
    play,
};

impl Matrix<'_> {
    /// The cases of what is typed.
    pub(super) fn typed(&self) -> Vec<Case<'_>> {
        vec![
            (
                "a fixed address typed at the console: there after the next start, and in the certificate",
                Box::new(|| self.fixed_address()),
            ),
            (
                "a name typed at the console: in the certificate, without a restart",
                Box::new(|| self.typed_name()),
            ),
        ]
    }

    fn fixed_address(&self) -> Result<String> {
        const ADDRESS: &str = "10.0.2.77";
        const TYPED: &str = "10.0.2.77/24 via 10.0.2.2 dns 10.0.2.3";
        let machine = self.settled()?.copy(self.folder("fixed"))?;
        let mut running = machine.start(Network::ForwardedTo(self.listeners, ADDRESS))?;
        let shown = play::until_it_serves(&mut running)?;
        running.mark()?;
        running.type_line("n")?;
        running.wait_for_words("Type what it is to be")?;
        running.type_line(TYPED)?;
        running.wait_for_words(&format!("From the next start the network is: {TYPED}"))?;
        restart(&mut running)?;
        play::until_it_serves(&mut running)?;
        running.wait_for_words("Addresses        10.0.2.77\n")?;
        let people = self.folder("fixed-people");
        play::fresh(&people)?;
        running.wait_for("a certificate for the address", |_| {
            let names = self.certificate_names(&people).ok()?;
            names.contains(ADDRESS).then_some(())
        })?;
        play::fetch_authority(self.listeners, &shown, &people)?;
        turn_off(&mut running)?;
        Ok(format!(
            "\"{TYPED}\" typed; after the restart the console shows the address, and the certificate is for it, by the same CA"
        ))
    }

    fn typed_name(&self) -> Result<String> {
        const TYPED: &str = "vault.example.com";
        let machine = self.settled()?.copy(self.folder("named"))?;
        let mut running = machine.start(self.network())?;
        let shown = play::until_it_serves(&mut running)?;
        let people = self.folder("named-people");
        play::fresh(&people)?;
        play::fetch_authority(self.listeners, &shown, &people)?;
        if self.certificate_names(&people)?.contains(TYPED) {
            bail!("{TYPED} is in the server certificate already");
        }
        running.mark()?;
        running.type_line("d")?;
        running.wait_for_words("Type the names that it is to be for")?;
        running.type_line(TYPED)?;
        running.wait_for_words("The service makes another certificate")?;
        // Each look at the console is a moment's wait.
        let names = running.wait_for("another certificate", |_| {
            let names = self.certificate_names(&people).ok()?;
            names.contains(TYPED).then_some(names)
        })?;
        // By the same authority, and the address is still in it.
        play::fetch_authority(self.listeners, &shown, &people)?;
        if !names.contains("10.0.2.15") {
            bail!("the machine's address is not in the server certificate: {names}");
        }
        turn_off(&mut running)?;
        Ok(format!(
            "\"{TYPED}\" typed, and the certificate that is shown is for it and the address, by the same CA"
        ))
    }
}
