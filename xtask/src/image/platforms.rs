//! The image for hypervisors: `strongroom_VERSION.qcow2`, and `strongroom_VERSION.ova` with a machine around the disk.
//!
//! Both hold the very disk that the raw image is, which is seen each time. qemu-img writes them, of the image's own Debian release; the one thing that
//! it draws at random, the identifier of a VMDK's content, is made constant.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Bench, EPOCH, papers, remove, tools, write};
use crate::process;

/// What the machine in the OVA has, which its administrator may change.
const PROCESSORS: u32 = 2;
const MEMORY_MIB: u32 = 2048;

/// Makes both from the disk that was just built.
///
/// # Errors
///
/// When one of them, turned back into a raw disk, is another than the image.
pub(crate) fn make(bench: &Bench, disk: &Path) -> Result<Vec<PathBuf>> {
    let converter = tools::converter(bench)?;
    let work = bench.work.join("hypervisors");
    remove(&work)?;
    fs::create_dir_all(&work)?;
    process::answer(
        Command::new("cp")
            .arg("--sparse=always")
            .arg(disk)
            .arg(work.join("raw.img")),
    )?;
    let name = bench.name();
    let convert = |options: &str, file: &str| {
        converter.sh(
            &format!(
                "cd hypervisors; qemu-img convert -q -f raw {options} raw.img \"$1\"; qemu-img convert -q -O raw \"$1\" back.img; \
                 cmp raw.img back.img; rm back.img"
            ),
            &[file],
        )
    };
    let (qcow2, vmdk) = (format!("{name}.qcow2"), format!("{name}-disk1.vmdk"));
    convert("-c -O qcow2 -o compat=1.1", &qcow2)?;
    convert(
        "-O vmdk -o subformat=streamOptimized,adapter_type=lsilogic",
        &vmdk,
    )?;
    make_constant(&work.join(&vmdk))?;
    let machine = Envelope {
        name: &name,
        version: &bench.version,
        disk: &vmdk,
        disk_size: fs::metadata(work.join(&vmdk))?.len(),
        capacity: fs::metadata(disk)?.len(),
    };
    let description = format!("{name}.ovf");
    write(&work.join(&description), machine.text())?;
    let manifest = format!("{name}.mf");
    let sums = [&description, &vmdk]
        .map(|file| {
            Ok(format!(
                "SHA256({file})= {}\n",
                papers::hash(&work.join(file))?
            ))
        })
        .into_iter()
        .collect::<Result<String>>()?;
    write(&work.join(&manifest), sums)?;
    let ova = format!("{name}.ova");
    // The description comes first (DSP0243, section 5.3), so that who reads the archive as it arrives knows what will come.
    converter.sh(
        "cd hypervisors; tar --format=ustar --owner=0 --group=0 --numeric-owner --mode=0644 --mtime=@\"$1\" -cf \"$2\" \"$3\" \"$4\" \"$5\"",
        &[EPOCH, &ova, &description, &manifest, &vmdk],
    )?;
    let made = [qcow2, ova].map(|file| {
        let there = bench.out.join(&file);
        process::answer(Command::new("mv").arg(work.join(&file)).arg(&there)).map(|_| there)
    });
    let made = made.into_iter().collect::<Result<_>>()?;
    remove(&work)?;
    Ok(made)
}

/// What `make` leaves beside the image, whether it is there or not.
pub(crate) fn files(bench: &Bench) -> [PathBuf; 2] {
    ["qcow2", "ova"].map(|kind| bench.out.join(format!("{}.{kind}", bench.name())))
}

/// Puts a constant where qemu-img drew an identifier of the content: it tells apart what was written since a snapshot, and there is none.
fn make_constant(vmdk: &Path) -> Result<()> {
    const DESCRIPTION: usize = 64 << 10;
    let mut file = File::options().read(true).write(true).open(vmdk)?;
    let mut head = vec![0; DESCRIPTION];
    file.read_exact(&mut head)?;
    let at = identifier(&head).context("the VMDK has no identifier of its content")?;
    file.seek(SeekFrom::Start(at as u64))?;
    file.write_all(b"53747267")?;
    Ok(())
}

/// Where the eight hexadecimal digits of `CID=` begin.
fn identifier(head: &[u8]) -> Option<usize> {
    const MARK: &[u8] = b"\nCID=";
    let at = head.windows(MARK.len()).position(|bytes| bytes == MARK)? + MARK.len();
    let digits = head.get(at..at + 8)?;
    (digits.iter().all(u8::is_ascii_hexdigit) && head.get(at + 8) == Some(&b'\n')).then_some(at)
}

/// The machine around the disk, in the Open Virtualization Format (DSP0243): 1.1, as the hypervisors that this is for do not read 2.0.
struct Envelope<'a> {
    name: &'a str,
    version: &'a str,
    disk: &'a str,
    /// Bytes of the file.
    disk_size: u64,
    /// Bytes of the disk that is in it.
    capacity: u64,
}

impl Envelope<'_> {
    fn text(&self) -> String {
        let Self {
            name,
            version,
            disk,
            disk_size,
            capacity,
        } = self;
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href="{disk}" ovf:id="file1" ovf:size="{disk_size}"/>
  </References>
  <DiskSection>
    <Info>The image's disk; it may be enlarged before the first start</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The one network of the appliance</Info>
    <Network ovf:name="Strongroom">
      <Description>Where clients and administrators are</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{name}">
    <Info>The key-management appliance</Info>
    <Name>Strongroom</Name>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian12_64Guest">
      <Info>Debian, 64 bits</Info>
    </OperatingSystemSection>
    <ProductSection>
      <Info>What it is</Info>
      <Product>Strongroom</Product>
      <Version>{version}</Version>
    </ProductSection>
    <VirtualHardwareSection>
      <Info>UEFI with Secure Boot, and a TPM 2.0</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-15</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>
        <rasd:ElementName>{PROCESSORS} processors</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>{PROCESSORS}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>{MEMORY_MIB} MiB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>{MEMORY_MIB}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:ElementName>SATA controller</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>vmware.sata.ahci</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Disk</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>1</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>Strongroom</rasd:Connection>
        <rasd:ElementName>Network</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
      <Item ovf:required="false">
        <rasd:AutomaticAllocation>false</rasd:AutomaticAllocation>
        <rasd:ElementName>TPM 2.0</rasd:ElementName>
        <rasd:InstanceID>6</rasd:InstanceID>
        <rasd:ResourceSubType>vmware.vtpm</rasd:ResourceSubType>
        <rasd:ResourceType>1</rasd:ResourceType>
      </Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
      <vmw:Config ovf:required="false" vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#
        )
    }
}

/// Compares both of a build with those of another.
///
/// # Errors
///
/// When they differ, or only one build has them.
pub(crate) fn same(one: &Bench, other: &Path) -> Result<()> {
    for file in files(one) {
        let again = other.join(file.file_name().context("a file has no name")?);
        if file.exists() != again.exists() {
            bail!("only one of the two builds has {}", again.display());
        }
        if file.exists() {
            process::answer(Command::new("cmp").arg(&file).arg(&again))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identifier_of_the_content_is_found() {
        let head = b"KDMV\0# Disk DescriptorFile\nversion=1\nCID=0a1b2c3d\nparentCID=ffffffff\n";
        let at = identifier(head);
        assert_eq!(at, Some(41));
        assert_eq!(identifier(b"KDMV\0nothing"), None);
        assert_eq!(identifier(b"\nCID=0a1b\n"), None);
    }

    #[test]
    fn the_machine_has_what_the_appliance_needs() {
        let text = Envelope {
            name: "strongroom_1.2.3",
            version: "1.2.3",
            disk: "strongroom_1.2.3-disk1.vmdk",
            disk_size: 7,
            capacity: 4096,
        }
        .text();
        for needed in [
            "ovf:href=\"strongroom_1.2.3-disk1.vmdk\" ovf:id=\"file1\" ovf:size=\"7\"",
            "ovf:capacity=\"4096\"",
            "vmw:key=\"firmware\" vmw:value=\"efi\"",
            "vmw:key=\"bootOptions.efiSecureBootEnabled\" vmw:value=\"true\"",
            "vmware.vtpm",
        ] {
            assert!(text.contains(needed), "{needed}");
        }
        assert_eq!(
            text.matches("<Item").count(),
            text.matches("</Item>").count()
        );
    }
}
