//! Regions, cloud-qualified, so that the jurisdiction follows from the string.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where something is: `aws:me-central-1`, `gcp:me-central1`,
/// `azure:uaenorth`, `onprem:ae-du:dubai-1`.
///
/// The cloud is part of the name because the bare names mislead: AWS'
/// `me-central-1` is in the United Arab Emirates, Google's `me-central1` is in
/// Qatar. An on-premises region carries its ISO 3166-2 subdivision.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region {
    text: String,
    country: &'static str,
}

impl Region {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// ISO 3166-1 alpha-2 code of the country the region is in.
    #[must_use]
    pub fn jurisdiction(&self) -> &'static str {
        self.country
    }

    /// The cloud: `aws`, `gcp`, `azure` or `onprem`.
    #[must_use]
    pub fn cloud(&self) -> &str {
        self.text.split(':').next().unwrap_or_default()
    }
}

/// Whether `country` (ISO 3166-1) is inside `jurisdiction`: the same country,
/// or a member state where the jurisdiction is `EU`.
#[must_use]
pub fn is_within(country: &str, jurisdiction: &str) -> bool {
    country == jurisdiction || (jurisdiction == "EU" && EU.contains(&country))
}

/// Checks a jurisdiction: an ISO 3166-1 alpha-2 code, or `EU`.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn check_jurisdiction(jurisdiction: &str) -> Result<(), String> {
    if jurisdiction == "EU" || COUNTRIES.split(' ').any(|country| country == jurisdiction) {
        return Ok(());
    }
    Err(format!(
        "{jurisdiction:?} is not a jurisdiction: use an ISO 3166-1 country code in capitals such as \"AE\" or \"DE\", or \"EU\""
    ))
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{text:?} is not a region: {why}; write the cloud and its region, such as \"aws:me-central-1\", \
                 \"gcp:europe-west3\" or \"azure:uaenorth\", or \"onprem:\", the ISO 3166-2 code and a site, such as \"onprem:ae-du:dubai-1\""
            )
        };
        let Some((cloud, name)) = text.split_once(':') else {
            return Err(wrong("it names no cloud"));
        };
        let country = if cloud == "onprem" {
            let Some((subdivision, site)) = name.split_once(':') else {
                return Err(wrong("an on-premises region needs a subdivision and a site"));
            };
            crate::name::check(site).map_err(|_| wrong("its site is not a name"))?;
            let (country, part) =
                subdivision.split_once('-').ok_or_else(|| wrong("its ISO 3166-2 code has no hyphen"))?;
            if part.is_empty() || part.len() > 3 || !part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            {
                return Err(wrong("its ISO 3166-2 subdivision is not 1 to 3 lower-case letters or digits"));
            }
            COUNTRIES
                .split(' ')
                .find(|known| country.len() == 2 && known.to_ascii_lowercase() == country)
                .ok_or_else(|| wrong("its country is not an ISO 3166-1 code in lower case"))?
        } else {
            let table = CLOUDS
                .iter()
                .find(|(known, _)| *known == cloud)
                .map(|(_, table)| *table)
                .ok_or_else(|| wrong("its cloud is not one of aws, gcp, azure, onprem"))?;
            table
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, country)| *country)
                .ok_or_else(|| wrong("the cloud has no region of this name that this release knows"))?
        };
        Ok(Self { text: text.to_owned(), country })
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Member states of the European Union.
const EU: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// ISO 3166-1 alpha-2.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

type RegionTable = &'static [(&'static str, &'static str)];

/// Commercial regions of each cloud and the country they are in, from the
/// clouds' own region lists (2026-11).
const CLOUDS: [(&str, RegionTable); 3] = [
    (
        "aws",
        &[
            ("af-south-1", "ZA"),
            ("ap-east-1", "HK"),
            ("ap-northeast-1", "JP"),
            ("ap-northeast-2", "KR"),
            ("ap-northeast-3", "JP"),
            ("ap-south-1", "IN"),
            ("ap-south-2", "IN"),
            ("ap-southeast-1", "SG"),
            ("ap-southeast-2", "AU"),
            ("ap-southeast-3", "ID"),
            ("ap-southeast-4", "AU"),
            ("ap-southeast-5", "MY"),
            ("ap-southeast-7", "TH"),
            ("ca-central-1", "CA"),
            ("ca-west-1", "CA"),
            ("eu-central-1", "DE"),
            ("eu-central-2", "CH"),
            ("eu-north-1", "SE"),
            ("eu-south-1", "IT"),
            ("eu-south-2", "ES"),
            ("eu-west-1", "IE"),
            ("eu-west-2", "GB"),
            ("eu-west-3", "FR"),
            ("il-central-1", "IL"),
            ("me-central-1", "AE"),
            ("me-south-1", "BH"),
            ("mx-central-1", "MX"),
            ("sa-east-1", "BR"),
            ("us-east-1", "US"),
            ("us-east-2", "US"),
            ("us-west-1", "US"),
            ("us-west-2", "US"),
        ],
    ),
    (
        "gcp",
        &[
            ("africa-south1", "ZA"),
            ("asia-east1", "TW"),
            ("asia-east2", "HK"),
            ("asia-northeast1", "JP"),
            ("asia-northeast2", "JP"),
            ("asia-northeast3", "KR"),
            ("asia-south1", "IN"),
            ("asia-south2", "IN"),
            ("asia-southeast1", "SG"),
            ("asia-southeast2", "ID"),
            ("australia-southeast1", "AU"),
            ("australia-southeast2", "AU"),
            ("europe-central2", "PL"),
            ("europe-north1", "FI"),
            ("europe-southwest1", "ES"),
            ("europe-west1", "BE"),
            ("europe-west2", "GB"),
            ("europe-west3", "DE"),
            ("europe-west4", "NL"),
            ("europe-west6", "CH"),
            ("europe-west8", "IT"),
            ("europe-west9", "FR"),
            ("europe-west10", "DE"),
            ("europe-west12", "IT"),
            ("me-central1", "QA"),
            ("me-central2", "SA"),
            ("me-west1", "IL"),
            ("northamerica-northeast1", "CA"),
            ("northamerica-northeast2", "CA"),
            ("southamerica-east1", "BR"),
            ("southamerica-west1", "CL"),
            ("us-central1", "US"),
            ("us-east1", "US"),
            ("us-east4", "US"),
            ("us-east5", "US"),
            ("us-south1", "US"),
            ("us-west1", "US"),
            ("us-west2", "US"),
            ("us-west3", "US"),
            ("us-west4", "US"),
        ],
    ),
    (
        "azure",
        &[
            ("australiacentral", "AU"),
            ("australiaeast", "AU"),
            ("australiasoutheast", "AU"),
            ("brazilsouth", "BR"),
            ("canadacentral", "CA"),
            ("canadaeast", "CA"),
            ("centralindia", "IN"),
            ("centralus", "US"),
            ("eastasia", "HK"),
            ("eastus", "US"),
            ("eastus2", "US"),
            ("francecentral", "FR"),
            ("germanywestcentral", "DE"),
            ("israelcentral", "IL"),
            ("italynorth", "IT"),
            ("japaneast", "JP"),
            ("japanwest", "JP"),
            ("koreacentral", "KR"),
            ("mexicocentral", "MX"),
            ("northcentralus", "US"),
            ("northeurope", "IE"),
            ("norwayeast", "NO"),
            ("polandcentral", "PL"),
            ("qatarcentral", "QA"),
            ("southafricanorth", "ZA"),
            ("southcentralus", "US"),
            ("southeastasia", "SG"),
            ("southindia", "IN"),
            ("spaincentral", "ES"),
            ("swedencentral", "SE"),
            ("switzerlandnorth", "CH"),
            ("uaecentral", "AE"),
            ("uaenorth", "AE"),
            ("uksouth", "GB"),
            ("ukwest", "GB"),
            ("westcentralus", "US"),
            ("westeurope", "NL"),
            ("westus", "US"),
            ("westus2", "US"),
            ("westus3", "US"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::{Region, check_jurisdiction, is_within};

    #[test]
    fn the_jurisdiction_follows_from_the_string() {
        for (text, country) in [
            ("aws:me-central-1", "AE"),
            ("gcp:me-central1", "QA"),
            ("gcp:me-central2", "SA"),
            ("azure:uaenorth", "AE"),
            ("onprem:ae-du:dubai-1", "AE"),
            ("onprem:de-he:frankfurt", "DE"),
        ] {
            assert_eq!(text.parse::<Region>().unwrap().jurisdiction(), country, "{text}");
        }
    }

    #[test]
    fn an_unqualified_unknown_or_misspelt_region_is_refused_with_an_example() {
        for bad in [
            "me-central-1",
            "aws:me-central1",
            "AWS:me-central-1",
            "onprem:dubai-1",
            "onprem:xx-du:a1",
            "onprem:AE-du:dubai-1",
            "onprem:ae-:dubai-1",
            "ibm:eu-de",
            "aws:",
        ] {
            let error = bad.parse::<Region>().unwrap_err();
            assert!(error.contains("aws:me-central-1"), "{error}");
        }
    }

    #[test]
    fn a_member_state_is_within_the_european_union() {
        assert!(is_within("DE", "EU"));
        assert!(!is_within("CH", "EU"));
        assert!(check_jurisdiction("UAE").is_err());
    }
}
