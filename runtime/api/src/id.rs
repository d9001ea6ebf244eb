//! Ids of declared objects, which carry where the object is.

use std::{fmt, str::FromStr};

use crate::Region;

/// `<region>/<cluster>/<uid>` for a cluster,
/// `<region>/<cluster>/<workspace>/<uid>` for a workspace,
/// `<region>/<cluster>/<workspace>/<type>/<name>/<uid>` for what is in one,
/// `<region>/<cluster>/<type>/<name>/<uid>` for what belongs to the cluster.
///
/// Everything but the uid is known at plan, so children learn their place,
/// and with it their residency, before anything exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id {
    pub place: Prefix,
    pub uid: String,
}

/// An id without its uid: what is known of it at plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub region: Region,
    pub cluster: String,
    pub workspace: Option<String>,
    /// The type's noun (`model`) and the object's name.
    pub object: Option<(String, String)>,
}

impl Prefix {
    #[must_use]
    pub fn cluster(region: Region, cluster: &str) -> Self {
        Self { region, cluster: cluster.to_owned(), workspace: None, object: None }
    }

    #[must_use]
    pub fn workspace(&self, workspace: &str) -> Self {
        Self { workspace: Some(workspace.to_owned()), object: None, ..self.clone() }
    }

    #[must_use]
    pub fn object(&self, noun: &str, name: &str) -> Self {
        Self { object: Some((noun.to_owned(), name.to_owned())), ..self.clone() }
    }

    #[must_use]
    pub fn with_uid(self, uid: &str) -> Id {
        Id { place: self, uid: uid.to_owned() }
    }

    /// The name of the object itself.
    #[must_use]
    pub fn name(&self) -> &str {
        match (&self.object, &self.workspace) {
            (Some((_, name)), _) => name,
            (None, Some(workspace)) => workspace,
            (None, None) => &self.cluster,
        }
    }

    fn from_parts(parts: &[&str]) -> Option<Self> {
        let (region, cluster, workspace, object) = match *parts {
            [region, cluster] => (region, cluster, None, None),
            [region, cluster, workspace] => (region, cluster, Some(workspace), None),
            [region, cluster, noun, name] => (region, cluster, None, Some((noun, name))),
            [region, cluster, workspace, noun, name] => (region, cluster, Some(workspace), Some((noun, name))),
            _ => return None,
        };
        Some(Self {
            region: region.parse().ok()?,
            cluster: cluster.to_owned(),
            workspace: workspace.map(str::to_owned),
            object: object.map(|(noun, name)| (noun.to_owned(), name.to_owned())),
        })
    }
}

/// With the slash at its end, as the refinement of an unknown id carries it.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.region, self.cluster)?;
        if let Some(workspace) = &self.workspace {
            write!(f, "{workspace}/")?;
        }
        if let Some((noun, name)) = &self.object {
            write!(f, "{noun}/{name}/")?;
        }
        Ok(())
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.strip_suffix('/').unwrap_or(text).split('/').collect();
        Self::from_parts(&parts).ok_or_else(|| format!("{text:?} is not the beginning of an id of Falaj's"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place, self.uid)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not an id of Falaj's: it has the form <region>/<cluster>/<workspace>/<type>/<name>/<uid>, \
                 such as \"onprem:ae-du:dubai-1/retail/people/model/employed/0190...\"; refer to the resource's id attribute"
            )
        };
        let (place, uid) = text.rsplit_once('/').ok_or_else(wrong)?;
        let place = place.parse().map_err(|_| wrong())?;
        if text.len() >= 256 || uuid::Uuid::parse_str(uid).is_err() {
            return Err(wrong());
        }
        Ok(Self { place, uid: uid.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Id, Prefix};

    #[test]
    fn ids_of_every_depth_read_back_as_they_were_written() {
        let cluster = Prefix::cluster("onprem:ae-du:dubai-1".parse().unwrap(), "retail");
        let workspace = cluster.workspace("people");
        let uid = "0190f3c2-7a52-7cc0-8000-000000000000";
        for place in [
            cluster.clone(),
            workspace.clone(),
            workspace.object("model", "employed"),
            cluster.object("gpu_node_pool", "a100"),
        ] {
            let id = place.clone().with_uid(uid);
            assert_eq!(id.to_string().parse::<Id>().unwrap(), id);
            assert_eq!(place.to_string().parse::<Prefix>().unwrap(), place);
        }
        assert_eq!(
            workspace.object("model", "employed").to_string(),
            "onprem:ae-du:dubai-1/retail/people/model/employed/"
        );
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for bad in [
            "",
            "x",
            "retail/people/u",
            "aws:me-central-1/retail/not-a-uid",
            "aws:me-central-1/a/b/c/d/e/0190f3c2-7a52-7cc0-8000-000000000000",
        ] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
    }
}
