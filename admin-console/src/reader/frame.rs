//! What stands around every page: whose it is, and the rail with what there is for them.

use std::sync::Arc;

use strongroom_wire::account::{Account, Role};

use crate::assets::VERSION;
use crate::host::Side;
use crate::pieces::Html;

/// What all pages of one answer have in common.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) side: Side,
    /// Who is signed in.
    pub(crate) account: Option<Arc<Account>>,
    /// Whether the pages about the appliance as a whole are for this reader's domain.
    pub(crate) whole_appliance: bool,
    pub(crate) form_token: String,
    pub(crate) path: String,
    pub(crate) scripts: &'static [&'static str],
    /// Where the browser goes from this page by itself.
    pub(crate) onwards: Option<String>,
}

/// A link in the rail.
pub(crate) struct RailLink {
    pub(crate) to: &'static str,
    pub(crate) text: &'static str,
    pub(crate) icon: Html,
}

impl Frame {
    /// Where nobody is signed in.
    pub(crate) fn outside(side: Side) -> Self {
        Self {
            side,
            account: None,
            whole_appliance: false,
            form_token: String::new(),
            path: String::new(),
            scripts: &[],
            onwards: None,
        }
    }

    #[expect(clippy::unused_self, reason = "templates call it by the frame")]
    pub(crate) fn assets(&self) -> &'static str {
        VERSION.as_str()
    }

    pub(crate) fn home(&self) -> &'static str {
        if self.account.is_some() {
            self.side.home()
        } else {
            "/"
        }
    }

    pub(super) fn part(&self) -> &'static str {
        match self.side {
            Side::Owners => "My keys",
            Side::Administration => "Administration",
        }
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.account
            .as_ref()
            .is_some_and(|account| account.roles.contains(&role))
    }

    pub(super) fn is_at(&self, to: &str) -> bool {
        self.path == to
            || self
                .path
                .strip_prefix(to)
                .is_some_and(|rest| rest.starts_with('/'))
    }

    /// The links of the rail, in groups: those of the reader's roles. What is not linked is refused all the same, by the keystore.
    pub(super) fn rail(&self) -> Vec<(&'static str, Vec<RailLink>)> {
        let link = |to, text, icon: &str| RailLink {
            to,
            text,
            icon: icon_of(icon),
        };
        let you = (
            "You",
            vec![
                link("/security", "Security", "lock"),
                link("/sessions", "Sessions", "screen"),
            ],
        );
        match self.side {
            Side::Owners => vec![
                (
                    "Keys",
                    vec![
                        link("/keys", "My keys", "key"),
                        link("/groups", "Groups", "people"),
                        link("/history", "History", "clock"),
                        link("/disclosures", "Disclosures", "list"),
                        link("/proposals", "Proposals", "badge"),
                    ],
                ),
                (you.0, {
                    let mut links = you.1;
                    links.push(link("/devices", "Devices", "device"));
                    links
                }),
            ],
            Side::Administration => {
                let administers = self.has(Role::Administrator);
                let keeps = administers || self.has(Role::SecurityOfficer);
                let audits = self.has(Role::Auditor);
                let mut groups = vec![("Appliance", vec![link("/overview", "Overview", "chart")])];
                if administers {
                    groups.push((
                        "People and devices",
                        vec![
                            link("/accounts", "Accounts", "people"),
                            link("/fleet", "Devices", "device"),
                            link("/directories", "Directories", "folder"),
                        ],
                    ));
                }
                let mut approvals = Vec::new();
                if crate::cases::are_for(self) {
                    approvals.push(link("/cases", "Cases", "folder"));
                }
                approvals.push(link("/proposals", "Proposals", "list"));
                if !audits {
                    approvals.push(link("/approval-keys", "Approval keys", "key"));
                }
                groups.push(("Cases and approvals", approvals));
                let mut rules = vec![link("/roles", "Roles", "badge")];
                if keeps {
                    rules.push(link("/policy", "Domain policy", "shield"));
                    rules.push(link("/master-key", "Master key", "key"));
                }
                groups.push(("Rules", rules));
                if audits {
                    groups.push((
                        "Audit",
                        vec![
                            link("/log", "Audit log", "clock"),
                            link("/checkpoints", "Checkpoints", "badge"),
                            link("/export", "Export", "device"),
                        ],
                    ));
                }
                if keeps && self.whole_appliance {
                    groups.push((
                        "Machine",
                        vec![
                            link("/hsm", "HSM", "chip"),
                            link("/backups", "Backups", "folder"),
                            link("/updates", "Updates", "device"),
                            link("/certificates", "Certificates", "badge"),
                            link("/configuration", "Configuration", "list"),
                        ],
                    ));
                }
                groups.push(you);
                groups
            }
        }
    }
}

fn icon_of(name: &str) -> Html {
    let path = match name {
        "key" => "<circle cx=\"8\" cy=\"15\" r=\"4.5\"/><path d=\"M11.5 11.5 20 3M16 7l3 3\"/>",
        "people" => {
            "<circle cx=\"9\" cy=\"8\" r=\"3.5\"/><path d=\"M2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6M16 4.8a3.5 3.5 0 0 1 0 6.4M18 14.5c2.1.8 3.5 2.800 3.500 5.500\"/>"
        }
        "clock" => "<circle cx=\"12\" cy=\"12\" r=\"9\"/><path d=\"M12 7v5l3.500 2\"/>",
        "lock" => {
            "<rect x=\"4\" y=\"11\" width=\"16\" height=\"10\" rx=\"2\"/><path d=\"M8 11V7a4 4 0 0 1 8 0v4\"/>"
        }
        "screen" => {
            "<rect x=\"3\" y=\"4\" width=\"18\" height=\"12\" rx=\"2\"/><path d=\"M8 20h8M12 16v4\"/>"
        }
        "device" => {
            "<rect x=\"6\" y=\"2.500\" width=\"12\" height=\"19\" rx=\"2.500\"/><path d=\"M11 18h2\"/>"
        }
        "chart" => "<path d=\"M3 3v18h18M7 15l4-5 3 3 5-7\"/>",
        "folder" => {
            "<path d=\"M3 6a2 2 0 0 1 2-2h4l2 2.500h8a2 2 0 0 1 2 2V18a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z\"/>"
        }
        "badge" => {
            "<circle cx=\"12\" cy=\"9\" r=\"6\"/><path d=\"m8.500 14-1.500 8 5-3 5 3-1.500-8\"/>"
        }
        "shield" => "<path d=\"M12 2.500 20 6v6c0 5-3.500 8-8 9.500C7.500 20 4 17 4 12V6z\"/>",
        "chip" => {
            "<rect x=\"6\" y=\"6\" width=\"12\" height=\"12\" rx=\"2\"/><path d=\"M9 2v4M15 2v4M9 18v4M15 18v4M2 9h4M2 15h4M18 9h4M18 15h4\"/>"
        }
        _ => "<path d=\"M8 6h13M8 12h13M8 18h13M3 6h.01M3 12h.01M3 18h.01\"/>",
    };
    Html::fixed(format!(
        "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\" stroke-linecap=\"round\" stroke-linejoin=\"round\">{path}</svg>"
    ))
}
