//! Why an approval counts for nothing.

/// Why an approval counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalProblem {
    /// The evidence is none, or its signature does not hold.
    #[error("{0}")]
    Evidence(String),
    /// What was signed is not what the leaf says was decided.
    #[error("what was signed is not what the leaf says")]
    Statement,
    /// The record or request that was signed is not that of the generation or proposal.
    #[error("what was signed is of another record or request than the one that was entered")]
    Record,
    /// What was entered is no record of the case and generation that the leaf says.
    #[error("what was entered is no record of that generation of that case")]
    Terms,
    /// The request is not for what the leaf says was done.
    #[error("the request is not for what the leaf says was done")]
    Request,
    /// The evidence is of another moment than the leaf.
    #[error("the evidence is of another moment than the leaf")]
    Time,
    /// Somebody else signed.
    #[error("the evidence is another account's")]
    Account,
    /// No leaf before says that the key is the account's, or it was not any more.
    #[error("no leaf says that the key is the account's at that time")]
    Key,
    /// No leaf before says that the account has the role.
    #[error("no leaf says that the account had the role at that time")]
    Role,
    /// The person entered what they approve, or changed it, or proposed it.
    #[error("the person entered or proposed what is approved")]
    Excluded,
    /// The person has approved it already, or somebody with the same key.
    #[error("the person, or the key, has approved it already")]
    Repeated,
    /// By the leaf enough people had approved, and they had not.
    #[error("the leaf says that enough people had approved, and they had not")]
    Quorum,
}
