//! Rights that are given up, in Landlock's words.

use std::path::PathBuf;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, path_beneath_rules,
};

use crate::model::confinement::Confinement;

/// The newest rights that are given up where the kernel knows them: to truncate files (Linux 6.2).
const RIGHTS: ABI = ABI::V3;

pub(super) fn write_nothing() -> Result<Confinement, RulesetError> {
    let rules = Ruleset::default().handle_access(rights())?.create()?;
    Ok(met(&rules.restrict_self()?.ruleset))
}

pub(super) fn write_only(places: &[PathBuf]) -> Result<Confinement, RulesetError> {
    let moves = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer);
    let Ok(rules) = moves else {
        return Ok(Confinement::None);
    };
    let rules = rules
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(rights())?
        .create()?
        .add_rules(path_beneath_rules(places, AccessFs::from_write(RIGHTS)))?;
    Ok(met(&rules.restrict_self()?.ruleset))
}

fn rights() -> BitFlags<AccessFs> {
    AccessFs::from_write(RIGHTS) | AccessFs::Execute
}

fn met(status: &RulesetStatus) -> Confinement {
    match status {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    }
}
