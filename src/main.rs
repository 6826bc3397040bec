//! The `git-certs` program.

fn main() -> std::process::ExitCode {
    git_certs::main()
}
