//! `export` for jobs.
