//! The fields in which an order is typed.

use super::super::describe;
use super::{DIRECTIONS, Draft, SCOPES, UNITS};
use crate::pieces::{Choice, Field, Form, Html, mono, with_sub};

impl Draft {
    /// Its fields, in a form.
    pub(in crate::cases) fn fields<'a>(&self, form: Form<'a>) -> Form<'a> {
        let form = self.authority(form);
        let form = self.law(form);
        let mut form = form.piece(heading("What it may reach"));
        for number in 1..=self.tasks {
            form = form.piece(self.task_fields(number));
        }
        form.field(Field::hidden("tasks", self.tasks.to_string()))
            .field(
                Field::number("max_items", "At most so many items")
                    .hint("Over it, nothing goes out at all.")
                    .value(self.said("max_items"))
                    .required(),
            )
            .with_files()
            .also("more", "task", "Add another task")
    }

    fn authority<'a>(&self, form: Form<'a>) -> Form<'a> {
        let text = |name, label| Field::text(name, label).value(self.said(name));
        let chosen = self.said("priority");
        let priorities = describe::PRIORITIES.map(|priority| {
            let (value, text) = describe::priority(priority);
            Choice::new(value, text, chosen == value)
        });
        let flags = [
            (
                "emergency",
                "Emergency",
                "One legal approver puts it into effect; it lapses unless the others ratify it in time.",
            ),
            ("consensual", "Consensual", "The person concerned consents."),
            ("test", "Test", "It is for a test."),
        ]
        .map(|(name, text, hint)| Choice::new(name, text, self.has(name)).hint(hint));
        form.piece(heading("The order"))
            .field(
                text("reference", "Reference")
                    .hint("The issuing authority's own.")
                    .required(),
            )
            .field(text("issuing_authority", "Issued by").required())
            .field(
                text("validating_authority", "Validated by")
                    .hint("Such as a court, where that is another authority."),
            )
            .field(text("jurisdiction", "Jurisdiction").required())
            .field(
                text("country_code", "Country")
                    .hint("The two letters of ISO 3166-1, such as CH.")
                    .required(),
            )
            .field(text("legal_type", "Legal type").required())
            .field(
                text("legal_basis", "Legal basis")
                    .hint("The provision that it rests on.")
                    .required(),
            )
            .field(text("type_of_case", "Type of case"))
            .field(Field::select("priority", "Priority", priorities.into()))
            .field(Field::checks("flags", "What holds besides", flags.into()))
    }

    fn law<'a>(&self, form: Form<'a>) -> Form<'a> {
        let units = UNITS
            .map(|(value, text, _)| Choice::new(value, text, self.said("delay_unit") == value));
        let when = |name, label| Field::moment(name, label).value(self.said(name));
        let mut form = form
            .piece(heading("When"))
            .field(when("start", "Disclosures from (UTC)").required())
            .field(when("end", "Disclosures until (UTC)").required())
            .field(when("served", "Served (UTC)"))
            .piece(heading("Why"))
            .field(
                Field::area("necessity", "Necessity")
                    .hint("Why nothing milder leads there.")
                    .value(self.said("necessity"))
                    .required(),
            )
            .field(
                Field::area("proportionality", "Proportionality")
                    .hint("Why this much.")
                    .value(self.said("proportionality"))
                    .required(),
            );
        if let Some(warrant) = &self.warrant {
            form = form
                .piece(Html::fixed(format!(
                    "<div><strong>Warrant</strong><div>{}</div></div>",
                    with_sub(
                        warrant.name.as_str(),
                        Html::join(" ", ["SHA-256".into(), mono(&warrant.sha256)])
                    )
                )))
                .field(Field::hidden("warrant_name", warrant.name.as_str()))
                .field(Field::hidden("warrant_type", warrant.media_type.as_str()))
                .field(Field::hidden("warrant_sha256", warrant.sha256.as_str()));
        }
        let warrant = if self.warrant.is_some() {
            Field::upload("warrant", "Another warrant in its place")
        } else {
            Field::upload("warrant", "Warrant")
        };
        form.field(warrant.hint("3,000,000 bytes at most. Only an emergency may be without."))
            .piece(heading("Who is told, and who gets it"))
            .field(
                Field::number("delay", "Owners are told after")
                    .hint("From each release; 0: at once.")
                    .value(self.said("delay")),
            )
            .field(Field::select("delay_unit", "Counted in", units.into()))
            .field(
                Field::text("delay_basis", "Basis of the delay")
                    .hint("The provision that it rests on; required where there is one.")
                    .value(self.said("delay_basis")),
            )
            .field(
                Field::upload("agency_file", "Agency's certificate or key, as a file")
                    .hint("An X.509 certificate in PEM or DER, or the public key that strongroom disclosure agency-key makes."),
            )
            .field(
                Field::area("agency", "Or pasted")
                    .hint("Disclosed keys are sealed to it.")
                    .value(self.said("agency")),
            )
    }

    fn task_fields(&self, number: usize) -> Html {
        let said = |name: &str| self.said(&format!("{name}-{number}"));
        let scopes = SCOPES.map(|(value, text)| Choice::new(value, text, said("scope") == value));
        let directions = DIRECTIONS.map(|(direction, text)| {
            Choice::new(
                direction.as_str(),
                text,
                said("direction") == direction.as_str(),
            )
        });
        let fields = [
            Field::text("task", "Its reference")
                .hint("Unique in the order.")
                .value(said("task")),
            Field::select("scope", "Reaches", scopes.into()),
            Field::text("person", "Person")
                .hint("The name of the account; of one data item: none.")
                .value(said("person")),
            Field::select("direction", "Of messages: which way", directions.into()),
            Field::area("counterparts", "Of messages: with whom alone")
                .hint("Names of accounts, one a line; empty: with anybody.")
                .value(said("counterparts")),
            Field::text("label", "By label: the label").value(said("label")),
            Field::text("item", "Of one data item: its key's identifier").value(said("item")),
            Field::moment("from", "Made from (UTC)")
                .hint("By label it may be left out.")
                .value(said("from")),
            Field::moment("until", "Made until (UTC)").value(said("until")),
        ]
        .map(|field| field.numbered(number).html());
        Html::fixed(format!(
            "<fieldset class=\"part-of-form\"><legend>Task {number}</legend><div class=\"stack\">{}</div></fieldset>",
            Html::all(fields)
        ))
    }
}

fn heading(text: &'static str) -> Html {
    Html::fixed(format!("<h2>{text}</h2>"))
}
