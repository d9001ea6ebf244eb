//! The text of the unit by which systemd keeps a cluster's server running.

use std::path::{Path, PathBuf};

/// What a unit says, before it is text.
#[derive(Debug, Clone)]
pub struct UnitText<'a> {
    pub cluster: &'a str,
    /// The data directory, absolute.
    pub dir: &'a Path,
    pub program: PathBuf,
    pub onnxruntime: Option<PathBuf>,
    pub log: PathBuf,
    /// Of the user whose service it is: where programs look for their settings.
    pub home: Option<PathBuf>,
    /// Of the whole system, which can be shut out of more than a user's.
    pub system: bool,
    /// Whether something that the server reads lies below `/tmp` or `/var/tmp`.
    pub needs_tmp: bool,
}

/// The line by which a unit is known to be of this data directory.
pub fn mark(dir: &Path) -> String {
    format!("DataDirectory={}", dir.display())
}

impl UnitText<'_> {
    /// # Errors
    /// A path cannot be written in a unit.
    pub fn render(&self) -> Result<String, String> {
        let dir = plain(self.dir)?;
        let mut command = format!("{} server --data-dir {}", quoted(&self.program)?, quoted(self.dir)?);
        if let Some(library) = &self.onnxruntime {
            command.push_str(&format!(" --onnxruntime {}", quoted(library)?));
        }
        let mut text = format!(
            "# Written by Terraform for a falaj_cluster; a change made here is lost with the next upgrade.\n\
             [Unit]\n\
             Description=Falaj cluster {}\n\
             StartLimitIntervalSec=0\n",
            self.cluster
        );
        if self.system {
            text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
        }
        text.push_str(&format!("\n[Service]\nExecStart={command}\nWorkingDirectory={dir}\n"));
        if let Some(home) = &self.home {
            text.push_str(&format!("Environment={}\n", quoted(Path::new(&format!("HOME={}", text_of(home)?)))?));
        }
        // Credentials of a key service and the like, which only the operator knows.
        text.push_str(&format!("EnvironmentFile=-{dir}/environment\n"));
        let log = plain(&self.log)?;
        text.push_str(&format!("StandardOutput=append:{log}\nStandardError=append:{log}\n"));
        // The server ends its own processes. When it is killed itself, those
        // that serve predictions finish what is in flight and end by themselves.
        text.push_str("Restart=always\nRestartSec=1\nKillMode=process\nTimeoutStopSec=60\n");
        text.push_str(
            "UMask=0077\n\
             NoNewPrivileges=yes\n\
             RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\
             RestrictRealtime=yes\n\
             RestrictSUIDSGID=yes\n\
             LockPersonality=yes\n\
             SystemCallArchitectures=native\n",
        );
        if self.system {
            text.push_str(&format!("ProtectSystem=strict\nReadWritePaths={}\n", quoted(self.dir)?));
            text.push_str(
                "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH\n\
                 ProtectKernelTunables=yes\n\
                 ProtectKernelModules=yes\n\
                 ProtectKernelLogs=yes\n\
                 ProtectControlGroups=yes\n\
                 ProtectClock=yes\n\
                 ProtectHostname=yes\n",
            );
            if !self.needs_tmp {
                text.push_str("PrivateTmp=yes\n");
            }
        }
        let wanted_by = if self.system { "multi-user.target" } else { "default.target" };
        text.push_str(&format!("\n[Install]\nWantedBy={wanted_by}\n"));
        text.push_str(&format!("\n[X-Falaj]\n{}\n", mark(self.dir)));
        Ok(text)
    }
}

fn text_of(path: &Path) -> Result<&str, String> {
    path.to_str().filter(|text| !text.chars().any(char::is_control)).ok_or_else(|| {
        format!("the path {path:?} cannot be written in a unit: it has to be text without control characters")
    })
}

/// A path that is the whole value of a setting.
fn plain(path: &Path) -> Result<String, String> {
    Ok(text_of(path)?.replace('%', "%%"))
}

/// A path that is one word of a setting's value.
fn quoted(path: &Path) -> Result<String, String> {
    let text = plain(path)?.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    Ok(format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::UnitText;

    fn unit(dir: &Path, system: bool) -> UnitText<'_> {
        UnitText {
            cluster: "retail",
            dir,
            program: dir.join("bin/5a9e/falaj"),
            onnxruntime: Some(dir.join("bin/5a9e/libonnxruntime.so")),
            log: dir.join("logs/server.log"),
            home: Some(PathBuf::from("/home/a user")),
            system,
            needs_tmp: false,
        }
    }

    #[test]
    fn a_path_cannot_add_a_setting_or_stand_for_another() {
        let text = unit(Path::new("/srv/100% \"of\" $HOME"), true).render().unwrap();
        assert!(text.contains(r#"--data-dir "/srv/100%% \"of\" $$HOME""#), "{text}");
        assert!(text.contains("WorkingDirectory=/srv/100%% \"of\" $HOME\n"), "{text}");
        let refused = unit(Path::new("/srv/a\nExecStartPre=/bin/sh"), true).render().unwrap_err();
        assert!(refused.contains("control characters"), "{refused}");
    }

    #[test]
    fn a_users_unit_asks_for_nothing_that_only_the_system_can_do() {
        let text = unit(Path::new("/srv/falaj/retail"), false).render().unwrap();
        assert!(text.contains("WantedBy=default.target") && text.contains("NoNewPrivileges=yes"), "{text}");
        for setting in ["Protect", "PrivateTmp", "Capability", "network-online"] {
            assert!(!text.contains(setting), "{setting}: {text}");
        }
    }

    #[test]
    fn what_lies_below_tmp_is_not_hidden_from_the_server() {
        let dir = PathBuf::from("/tmp/falaj/retail");
        let text = UnitText { needs_tmp: true, ..unit(&dir, true) }.render().unwrap();
        assert!(!text.contains("PrivateTmp"), "{text}");
    }

    #[test]
    fn systemd_finds_nothing_wrong_with_the_unit() {
        if !Path::new("/usr/bin/systemd-analyze").exists() {
            // Past the capture of a passing test's output.
            let _ = writeln!(std::io::stderr(), "SKIPPED: there is no systemd-analyze here; apt-get install systemd");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("100% retail");
        std::fs::create_dir_all(dir.join("bin/5a9e")).unwrap();
        std::fs::write(dir.join("bin/5a9e/falaj"), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(dir.join("bin/5a9e/falaj"), std::fs::Permissions::from_mode(0o755)).unwrap();
        for system in [true, false] {
            let path = home.path().join("falaj-retail.service");
            std::fs::write(&path, unit(&dir, system).render().unwrap()).unwrap();
            let output = Command::new("/usr/bin/systemd-analyze").arg("verify").arg("--man=no").arg(&path).output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let about: Vec<_> = said.lines().filter(|line| line.contains("falaj-retail")).collect();
            assert!(about.is_empty(), "{about:?}");
        }
    }
}
