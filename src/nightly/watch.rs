//! Notes when each stage of a run ended, and shows where each certificate is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::certificate::CertificateName;
use crate::model::path::{Path, Stage};
use crate::report::board::{Board, Lane};

/// The path of the run so far. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<Noted>>);

#[derive(Debug)]
struct Noted {
    path: Path,
    board: Board,
}

impl Watch {
    /// The run began here.
    pub(super) fn since(start: Instant) -> Self {
        Self(Arc::new(Mutex::new(Noted {
            path: Path::since(start),
            board: Board::default(),
        })))
    }

    /// A stage has ended for all certificates.
    pub(super) fn ended(&self, stage: Stage) {
        self.lock().path.ended(stage, Instant::now());
    }

    /// The same for a moment that is past.
    pub(super) fn ended_at(&self, stage: Stage, at: Instant) {
        self.lock().path.ended(stage, at);
    }

    /// The path so far.
    pub(super) fn path(&self) -> Path {
        self.lock().path.clone()
    }

    /// From now on certificates are shown here.
    pub(super) fn show(&self, board: Board) {
        self.lock().board = board;
    }

    /// The path so far, for one certificate to go on.
    pub(super) fn track(&self, name: &CertificateName) -> Track {
        let noted = self.lock();
        let mut path = noted.path.clone();
        path.certificate = Some(name.clone());
        let lane = noted.board.lane(name);
        lane.now("writing challenges");
        Track { path, lane }
    }

    /// A certificate has come to its end: as long as no other does, the run waited for this one.
    pub(super) fn follow(&self, track: Track) {
        self.lock().path = track.path;
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way of one certificate.
#[derive(Debug)]
pub(super) struct Track {
    path: Path,
    lane: Lane,
}

impl Track {
    /// A stage ended at this moment, and the next begins.
    pub(super) fn ended(&mut self, stage: Stage, at: Instant) {
        self.path.ended(stage, at);
        self.lane.now(match stage {
            Stage::Write => "waiting for name servers",
            Stage::See => "the CA checks",
            Stage::Validate => "the CA issues",
            Stage::Finalize => "fetching the chain",
            _ => "done",
        });
    }
}
