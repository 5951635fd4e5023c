//! Kernel, initial RAM disk, and both with their command line in one signed file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Bench, keys, root, root::Root, tools::Tools, write};

/// What the kernel is told beside the root hash. A block that does not match the tree of hashes stops the machine.
const COMMAND_LINE: &str = "root=/dev/mapper/root rootfstype=squashfs ro systemd.verity_root_options=panic-on-corruption \
     lockdown=integrity console=tty0 console=ttyS0 rd.shell=0 rd.emergency=reboot panic=10 oops=panic quiet \
     init_on_alloc=1 init_on_free=1 slab_nomerge page_alloc.shuffle=1 randomize_kstack_offset=on vsyscall=none debugfs=off \
     ipv6.disable_ipv6=0 audit=0 systemd.show_status=false systemd.firstboot=off";

/// What the initial RAM disk needs of dracut, and what it does not.
const DRACUT: &str = "--add 'systemd systemd-veritysetup systemd-repart systemd-cryptsetup systemd-pcrphase tpm2-tss dm crypt' \
     --omit 'plymouth nfs iscsi multipath lvm mdraid btrfs network dbus dbus-broker dbus-daemon resume memstrack bash' \
     --drivers 'ahci sd_mod nvme virtio_pci virtio_blk virtio_scsi virtio_net virtio_rng dm_verity dm_crypt squashfs loop overlay \
       tpm_crb tpm_tis ext4 vfat nls_cp437 nls_ascii efi_pstore' --include /work/repart.d /usr/lib/repart.d \
     --include /work/initrd.units /usr/lib/systemd/system";

/// The states of the boot in which the policy of PCR 11 holds: the data is unlocked before `ready` and by nothing after it.
const PHASES: &str = "enter-initrd,enter-initrd:leave-initrd,enter-initrd:leave-initrd:sysinit";

/// Makes the initial RAM disk; it changes with the kernel, the tools and what it is to contain.
pub(crate) fn initrd(bench: &Bench, tools: &Tools) -> Result<PathBuf> {
    let kernel = kernel(tools)?;
    copy_units(bench)?;
    let initrd = bench.work.join("initrd.img");
    tools.sh(
        &format!(
            "dracut --force --quiet --reproducible --no-hostonly --no-hostonly-cmdline --zstd --kver {kernel} {DRACUT} initrd.img"
        ),
        &[],
    )?;
    Ok(initrd)
}

/// Puts what the initial RAM disk is to contain where the tools see it.
fn copy_units(bench: &Bench) -> Result<()> {
    for folder in ["repart.d", "initrd.units"] {
        let (from, to) = (bench.sources.join(folder), bench.work.join(folder));
        super::remove(&to)?;
        copy_folder(&from, &to)?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let cannot = || format!("{} cannot be copied", from.display());
    fs::create_dir_all(to).with_context(cannot)?;
    for entry in fs::read_dir(from).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let target = to.join(entry.file_name());
        if entry.file_type().with_context(cannot)?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target).with_context(cannot)?;
        }
    }
    Ok(())
}

/// The kernel's version; its package is unpacked into the chroot where it is missing.
fn kernel(tools: &Tools) -> Result<String> {
    let version = tools.sh(
        "if ! ls /usr/lib/modules/* >/dev/null 2>&1; then \
           apt-get -q update >&2; cd /tmp; \
           apt-get -q download $(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \\(linux-image-[0-9].*\\)/\\1/p') >&2; \
           dpkg -x linux-image-*.deb /; depmod $(ls /usr/lib/modules); \
         fi; ls /usr/lib/modules",
        &[],
    )?;
    Ok(version.trim().to_owned())
}

/// Joins kernel, initial RAM disk, command line and the policy of PCR 11 in one file, and signs it.
pub(crate) fn unified(
    bench: &Bench,
    tools: &Tools,
    (): &(),
    root: &Root,
    _initrd: &Path,
) -> Result<PathBuf> {
    let kernel = kernel(tools)?;
    write(&bench.work.join("os-release"), root::os_release(&bench.version))?;
    write(
        &bench.work.join("cmdline"),
        format!("roothash={} {COMMAND_LINE}", root.hash),
    )?;
    let (key, certificate) = keys::SIGNING;
    // A signature has its time in it: that of the whole image.
    tools.sh(
        &format!(
            "faketime -f \"$(date -u -d @{epoch} '+%Y-%m-%d %H:%M:%S')\" ukify build --linux=/boot/vmlinuz-{kernel} --initrd=initrd.img \
             --cmdline=@cmdline --os-release=@os-release --uname={kernel} --pcr-private-key=/keys/pcr.key --pcr-public-key=/keys/pcr.pub \
             --pcr-banks=sha256 --phases={PHASES} --secureboot-private-key={key} --secureboot-certificate={certificate} \
             --signtool=sbsign --output=strongroom.efi >&2",
            epoch = super::EPOCH
        ),
        &[],
    )?;
    Ok(bench.work.join("strongroom.efi"))
}
