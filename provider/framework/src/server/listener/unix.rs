//! A unix socket in a directory of its own.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

use super::{Accept, Listener, Socket};
use crate::server::handshake::{Address, Invitation};

/// Opens a socket in a fresh directory that only this user may enter, and the
/// group that the host named, if it did.
pub fn open(invitation: &Invitation) -> io::Result<Socket> {
    let parent = invitation.socket_directory.clone().unwrap_or_else(std::env::temp_dir);
    let directory = fresh(&parent).map_err(|error| within("make a directory for the socket in", &parent, &error))?;
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).map_err(|error| within("make the socket", &path, &error))?;
    if let Some(group) = &invitation.socket_group {
        let group = id(group)?;
        share(&path, group, 0o660).and_then(|()| share(directory.path(), group, 0o710)).map_err(|error| {
            within(&format!("let the group {group} (PLUGIN_UNIX_SOCKET_GROUP) use"), directory.path(), &error)
        })?;
    }
    let address = path.to_str().ok_or_else(|| io::Error::other("the path of the socket is not UTF-8"))?;
    let address = Address { network: "unix", address: address.to_owned() };
    Ok(Socket { address, listener: Listener::Unix(listener), directory: Some(directory) })
}

fn fresh(parent: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("tfplugin-").permissions(Permissions::from_mode(0o700)).tempdir_in(parent)
}

fn share(path: &Path, group: u32, mode: u32) -> io::Result<()> {
    chown(path, None, Some(group))?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn within(action: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {action} {}: {error}", path.display()))
}

/// The number of a group that the host named, or numbered.
fn id(group: &str) -> io::Result<u32> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    find(&fs::read_to_string("/etc/group")?, group).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("PLUGIN_UNIX_SOCKET_GROUP names the group `{group}`, which is not in /etc/group; give its number"),
        )
    })
}

fn find(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nusers:x:100:ann,bob\nuser:x:7:\n";
        assert_eq!((find(groups, "user"), find(groups, "users"), find(groups, "use")), (Some(7), Some(100), None));
        assert_eq!(id("1234").ok(), Some(1234));
    }
}
