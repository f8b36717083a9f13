//! Where a process waits for the one that replaces it: a Unix socket in a folder of its user alone.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use rustix::process::geteuid;

use super::HandoverError;
use crate::limits::HANDOVER_BACKLOG;

/// A path that is fit for it.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl Place {
    /// Takes a path whose folder is this user's, with no rights for anybody else.
    pub(super) fn new(path: &Path) -> Result<Self, HandoverError> {
        let place = Self(std::path::absolute(path)?);
        let folder = fs::metadata(place.folder())?;
        let is_private = folder.is_dir()
            && folder.uid() == geteuid().as_raw()
            && folder.permissions().mode() & 0o077 == 0;
        is_private.then_some(place).ok_or(HandoverError::Folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn folder(&self) -> &Path {
        self.0.parent().unwrap_or(Path::new("/"))
    }

    /// Listens here, in the place of a socket that nobody listens at any more.
    pub(super) fn listen(&self) -> Result<OwnedFd, HandoverError> {
        // Two that start at once must not take the other one's for a stale one.
        let folder = File::open(self.folder())?;
        flock(&folder, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| HandoverError::Occupied)?;
        self.remove_stale()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(io::Error::from)?;
        let address = SocketAddrUnix::new(&self.0).map_err(io::Error::from)?;
        bind(&socket, &address).map_err(io::Error::from)?;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o600))?;
        listen(&socket, HANDOVER_BACKLOG).map_err(io::Error::from)?;
        Ok(socket)
    }

    fn remove_stale(&self) -> Result<(), HandoverError> {
        match fs::symlink_metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
            Ok(file) if !file.file_type().is_socket() => Err(HandoverError::NoSocket),
            Ok(_) if self.is_listened_at() => Err(HandoverError::Occupied),
            Ok(_) => Ok(fs::remove_file(&self.0)?),
        }
    }

    fn is_listened_at(&self) -> bool {
        use super::link::{Link, LinkError};
        let refused = io::ErrorKind::ConnectionRefused;
        !matches!(Link::connect(&self.0), Err(LinkError::Io(error)) if error.kind() == refused)
    }
}
