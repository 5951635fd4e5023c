//! Kernel, initial RAM disk, and both with their command line in one signed file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Bench, keys, read, root, root::Root, tools::Tools, update::Fault, write};

/// Which of Debian's kernels an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Flavour {
    /// The cloud kernel: virtual machines, small.
    #[default]
    Vm,
    /// The kernel with the drivers of servers' disk and network controllers.
    Metal,
}

impl Flavour {
    /// The package that depends on the newest such kernel.
    const fn package(self) -> &'static str {
        match self {
            Self::Vm => "linux-image-cloud-amd64",
            Self::Metal => "linux-image-amd64",
        }
    }

    /// The most bytes that an update with it may have, which is all of an image, compressed: 100 MiB and 250 MiB.
    pub(crate) const fn limit(self) -> u64 {
        match self {
            Self::Vm => 100 << 20,
            Self::Metal => 250 << 20,
        }
    }

    /// How an update names it.
    pub(crate) const fn flavour(self) -> strongroom_update::Flavour {
        match self {
            Self::Vm => strongroom_update::Flavour::Vm,
            Self::Metal => strongroom_update::Flavour::Metal,
        }
    }

    /// Its mark in `image/packages.lock`, which holds both.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Vm => "kernel",
            Self::Metal => "kernel-metal",
        }
    }

    /// What is added to the name of an image's files.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Vm => "",
            Self::Metal => "_metal",
        }
    }

    /// The drivers that its initial RAM disk has beside those of every image: those of the controllers that a root may be behind, and of keyboards.
    const fn drivers(self) -> &'static str {
        match self {
            Self::Vm => "",
            Self::Metal => {
                "--add-drivers 'megaraid_sas mpt3sas smartpqi hpsa aacraid mpi3mr vmd usb_storage uas xhci_pci ehci_pci usbhid hid_generic'"
            }
        }
    }
}

/// What the kernel is told beside the root hash. A block that does not match the tree of hashes stops the machine. What guards against the processor is
/// ANSSI-BP-028's R8; what that has and this has not stands with its reason in `image/scores.list`.
const COMMAND_LINE: &str = "root=/dev/mapper/root rootfstype=squashfs ro systemd.verity_root_options=panic-on-corruption \
     lockdown=integrity console=tty0 console=ttyS0 rd.shell=0 rd.emergency=reboot panic=10 oops=panic loglevel=5 \
     init_on_alloc=1 slab_nomerge=yes page_alloc.shuffle=1 randomize_kstack_offset=on vsyscall=none debugfs=off \
     iommu=force rng_core.default_quality=500 spectre_v2=on spec_store_bypass_disable=seccomp l1tf=full,force mds=full,nosmt \
     audit=0 systemd.show_status=false systemd.firstboot=off systemd.import_credentials=no systemd.gpt_auto=0 systemd.default_device_timeout_sec=600";

/// What the initial RAM disk needs of dracut, and what it does not.
const DRACUT: &str = "--add 'systemd systemd-veritysetup systemd-repart systemd-cryptsetup systemd-pcrphase tpm2-tss dm crypt' \
     --omit 'plymouth nfs iscsi multipath lvm mdraid btrfs network dbus dbus-broker dbus-daemon resume memstrack bash qemu lunmask virtfs virtiofs' \
     --drivers 'ahci sd_mod nvme virtio_pci virtio_blk virtio_scsi virtio_net virtio_rng dm_verity dm_crypt squashfs loop overlay \
       tpm_crb tpm_tis ext4 vfat nls_cp437 nls_ascii efi_pstore' --install mkfs.ext4 --include /etc/mke2fs.conf /etc/mke2fs.conf --include /bench/repart.d /usr/lib/repart.d \
     --include /bench/initrd.units /usr/lib/systemd/system --include /bench/release.json /usr/share/strongroom/release.json \
     --install strongroom-setup";

/// The states of the boot in which the policy of PCR 11 holds: the data is unlocked before `ready` and by nothing after it.
const PHASES: &str = "enter-initrd,enter-initrd:leave-initrd,enter-initrd:leave-initrd:sysinit";

/// Makes the initial RAM disk, where kernel, tools or what it is to contain have changed. `setup` is the program of ours that is in it.
pub(crate) fn initrd(bench: &Bench, tools: &Tools, setup: &Path) -> Result<PathBuf> {
    let kernel = kernel(bench, tools)?;
    let drivers = bench.kernel.drivers();
    copy_units(bench)?;
    write(&bench.work.join("release.json"), root::release(bench)?)?;
    fs::copy(setup, bench.work.join("strongroom-setup"))
        .with_context(|| format!("{} cannot be copied", setup.display()))?;
    let initrd = bench.work.join("initrd.img");
    let of = format!(
        "{kernel}\n{DRACUT} {drivers}\n{}{}",
        read(&bench.chroots.join("tools.stamp"))?,
        tools.sh(
            "cat $(find repart.d initrd.units -type f | sort) release.json && sha256sum strongroom-setup && stat -c %Y /kernel.package",
            &[]
        )?
    );
    let stamp = bench.work.join("initrd.stamp");
    if initrd.exists() && fs::read_to_string(&stamp).ok().as_deref() == Some(&of) {
        return Ok(initrd);
    }
    tools.sh(
        &format!(
            "strip --strip-debug -o /usr/bin/strongroom-setup strongroom-setup; \
             dracut --force --quiet --reproducible --no-hostonly --no-hostonly-cmdline --zstd --kver {kernel} {DRACUT} {drivers} initrd.img"
        ),
        &[],
    )?;
    write(&stamp, of)?;
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

/// The kernel's version; its package is unpacked into the chroot where it is missing or another flavour's is there, and named there for the lock.
pub(crate) fn kernel(bench: &Bench, tools: &Tools) -> Result<String> {
    let version = tools.sh(
        "if ! grep -q \"^$1 \" /kernel.package 2>/dev/null; then \
           rm -rf /usr/lib/modules /boot/* /kernel.package; \
           apt-get -q update >&2; cd /tmp; rm -f linux-image-*.deb; \
           apt-get -q download $(apt-cache depends $2 | sed -n 's/.*Depends: \\(linux-image-[0-9].*\\)/\\1/p') >&2; \
           dpkg -x linux-image-*.deb /; depmod $(ls /usr/lib/modules); \
           dpkg-deb -W --showformat=\"$1 \\${Package} \\${Version} \\${Architecture}\\n\" linux-image-*.deb >/kernel.package; rm linux-image-*.deb; \
         fi; ls /usr/lib/modules",
        &[bench.kernel.mark(), bench.kernel.package()],
    )?;
    Ok(version.trim().to_owned())
}

/// Joins kernel, initial RAM disk, command line and the policy of PCR 11 in one file, and signs it.
pub(crate) fn unified(bench: &Bench, tools: &Tools, root: &Root) -> Result<PathBuf> {
    let kernel = kernel(bench, tools)?;
    write(&bench.work.join("os-release"), root::os_release(bench))?;
    write(
        &bench.work.join("cmdline"),
        format!(
            "roothash={} {COMMAND_LINE}{}",
            root.hash,
            bench.fault.map_or("", Fault::command_line)
        ),
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
