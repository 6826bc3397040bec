//! Notes when each stage of a run ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::certificate::CertificateName;
use crate::model::path::{Path, Stage};

/// The path of the run so far. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<Path>>);

impl Watch {
    /// The run began here.
    pub(super) fn since(start: Instant) -> Self {
        Self(Arc::new(Mutex::new(Path::since(start))))
    }

    /// A stage has ended for all certificates.
    pub(super) fn ended(&self, stage: Stage) {
        self.lock().ended(stage, Instant::now());
    }

    /// The same for a moment that is past.
    pub(super) fn ended_at(&self, stage: Stage, at: Instant) {
        self.lock().ended(stage, at);
    }

    /// The path so far, for one certificate to go on.
    pub(super) fn path(&self) -> Path {
        self.lock().clone()
    }

    /// A certificate has come to its end: as long as no other does, the run waited for this one.
    pub(super) fn follow(&self, name: &CertificateName, mut path: Path) {
        path.certificate = Some(name.clone());
        *self.lock() = path;
    }

    fn lock(&self) -> MutexGuard<'_, Path> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
