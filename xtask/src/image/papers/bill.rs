//! The bill of materials in its two formats: `CycloneDX` 1.6 (ECMA-424) and SPDX 2.3 (ISO/IEC 5962). Both say the same, and nothing in them depends
//! on when or where the image was built.

use serde_json::{Value, json};

use super::contents::Component;

/// The image that a bill is of.
pub(super) struct Image<'a> {
    pub(super) version: &'a str,
    /// The hash of the disk image, in hexadecimal digits.
    pub(super) sha256: &'a str,
}

/// The moment of [`super::super::EPOCH`].
const MOMENT: &str = "2025-11-30T00:00:00Z";

/// The bill in `CycloneDX`.
pub(super) fn cyclonedx(image: &Image<'_>, components: &[Component]) -> Value {
    let listed: Vec<Value> = components
        .iter()
        .map(|component| {
            let parts: Vec<Value> = component
                .parts
                .iter()
                .map(|part| json!({"name": "strongroom:part", "value": part}))
                .collect();
            let mut one = json!({
                "type": "library",
                "bom-ref": component.purl,
                "name": component.name,
                "version": component.version,
                "purl": component.purl,
                "properties": parts,
            });
            if let Some(sha256) = &component.sha256 {
                one["hashes"] = json!([{"alg": "SHA-256", "content": sha256}]);
            }
            if let Some(licence) = &component.licence {
                one["licenses"] = json!([{"expression": licence}]);
            }
            one
        })
        .collect();
    let references: Vec<&str> = components
        .iter()
        .map(|component| component.purl.as_str())
        .collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(image.sha256)),
        "version": 1,
        "metadata": {
            "timestamp": MOMENT,
            "component": {
                "type": "operating-system",
                "bom-ref": "image",
                "name": "strongroom",
                "version": image.version,
                "hashes": [{"alg": "SHA-256", "content": image.sha256}],
            },
        },
        "components": listed,
        "dependencies": [{"ref": "image", "dependsOn": references}],
    })
}

/// The bill in SPDX.
pub(super) fn spdx(image: &Image<'_>, components: &[Component]) -> Value {
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-image",
        "name": "strongroom",
        "versionInfo": image.version,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "checksums": [{"algorithm": "SHA256", "checksumValue": image.sha256}],
    })];
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-image",
    })];
    for (index, component) in components.iter().enumerate() {
        let id = format!("SPDXRef-{index}");
        let parts: Vec<&str> = component.parts.iter().copied().collect();
        let mut package = json!({
            "SPDXID": id,
            "name": component.name,
            "versionInfo": component.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "licenseDeclared": component.licence.as_deref().unwrap_or("NOASSERTION"),
            "comment": format!("in: {}", parts.join(", ")),
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": component.purl,
            }],
        });
        if let Some(sha256) = &component.sha256 {
            package["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": sha256}]);
        }
        packages.push(package);
        relationships.push(json!({
            "spdxElementId": "SPDXRef-image",
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": id,
        }));
    }
    let texts: Vec<Value> = components
        .iter()
        .flat_map(|component| &component.texts)
        .map(|text| json!({"licenseId": text.id, "name": text.name, "extractedText": text.text}))
        .collect();
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("strongroom-{}", image.version),
        "documentNamespace": format!("urn:uuid:{}", uuid(image.sha256)),
        "creationInfo": {"created": MOMENT, "creators": ["Tool: cargo-xtask-image"]},
        "packages": packages,
        "hasExtractedLicensingInfos": texts,
        "relationships": relationships,
    })
}

/// A UUID of the image's own choice (RFC 9562 section 5.8), from its hash.
fn uuid(sha256: &str) -> String {
    let digits = |from: usize, to: usize| sha256.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-8{}-8{}-{}",
        digits(0, 8),
        digits(8, 12),
        digits(12, 15),
        digits(15, 18),
        digits(18, 30)
    )
}

#[cfg(test)]
mod tests {
    use super::super::licences::Reference;
    use super::*;

    #[test]
    fn both_bills_name_each_component_once() {
        let component = Component {
            name: "zstd".to_owned(),
            version: "1.5".to_owned(),
            purl: "pkg:deb/debian/zstd@1.5".to_owned(),
            sha256: Some("00".to_owned()),
            licence: None,
            texts: Vec::new(),
            parts: ["root"].into(),
        };
        let sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let image = Image {
            version: "0.1.0",
            sha256,
        };
        let bill = cyclonedx(&image, std::slice::from_ref(&component));
        assert_eq!(bill["components"][0]["purl"], component.purl);
        assert_eq!(bill["dependencies"][0]["dependsOn"][0], component.purl);
        assert_eq!(
            bill["serialNumber"],
            "urn:uuid:01234567-89ab-8cde-8f01-23456789abcd"
        );
        let bill = spdx(&image, &[component]);
        let named = &bill["packages"][1];
        assert_eq!(
            named["externalRefs"][0]["referenceLocator"],
            "pkg:deb/debian/zstd@1.5"
        );
        assert_eq!(
            bill["relationships"][1]["relatedSpdxElement"],
            named["SPDXID"]
        );
        assert_eq!(named["licenseDeclared"], "NOASSERTION");
    }

    #[test]
    fn both_bills_say_the_licence_and_one_has_its_text() {
        let id = "LicenseRef-zlib1g-permissive";
        let component = Component {
            name: "zlib1g".to_owned(),
            version: "1.3".to_owned(),
            purl: "pkg:deb/debian/zlib1g@1.3".to_owned(),
            sha256: None,
            licence: Some(format!("Zlib AND {id}")),
            texts: vec![Reference {
                id: id.to_owned(),
                name: "permissive".to_owned(),
                text: "Do as you like.".to_owned(),
            }],
            parts: ["root"].into(),
        };
        let image = Image {
            version: "0.1.0",
            sha256: "",
        };
        let bill = cyclonedx(&image, std::slice::from_ref(&component));
        let expression = "Zlib AND LicenseRef-zlib1g-permissive";
        assert_eq!(
            bill["components"][0]["licenses"][0]["expression"],
            expression
        );
        let bill = spdx(&image, &[component]);
        assert_eq!(bill["packages"][1]["licenseDeclared"], expression);
        let text = &bill["hasExtractedLicensingInfos"][0];
        assert_eq!(text["licenseId"], id);
        assert_eq!(text["extractedText"], "Do as you like.");
    }
}
