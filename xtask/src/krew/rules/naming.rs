//! The plugin's name: what krew accepts, and what the index's guide asks for.
//! <https://krew.sigs.k8s.io/docs/developer-guide/develop/naming-guide/>

use crate::krew::platform::Text;
use crate::krew::report::Report;

/// The names of Windows' devices, in upper case.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/index/validation/validate.go>
const DEVICES: [&str; 22] = [
    "CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8",
    "COM9", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

/// Prefixes that say nothing: every plugin is one of kubectl's.
const PREFIXES: [&str; 3] = ["kube-", "kubectl-", "kubernetes-"];

/// kubectl's short names of resources, and the full ones.
/// <https://kubernetes.io/docs/reference/kubectl/#resource-types>
const ACRONYMS: [(&str, &str); 24] = [
    ("cj", "cronjob"),
    ("cm", "configmap"),
    ("crd", "customresourcedefinition"),
    ("cs", "componentstatus"),
    ("csr", "certificatesigningrequest"),
    ("deploy", "deployment"),
    ("ds", "daemonset"),
    ("ep", "endpoints"),
    ("ev", "event"),
    ("hpa", "horizontalpodautoscaler"),
    ("ing", "ingress"),
    ("netpol", "networkpolicy"),
    ("no", "node"),
    ("ns", "namespace"),
    ("pc", "priorityclass"),
    ("pdb", "poddisruptionbudget"),
    ("po", "pod"),
    ("pv", "persistentvolume"),
    ("pvc", "persistentvolumeclaim"),
    ("rs", "replicaset"),
    ("sa", "serviceaccount"),
    ("sc", "storageclass"),
    ("sts", "statefulset"),
    ("svc", "service"),
];

/// Checks the name in `metadata`.
pub fn check(report: &mut Report<'_>, name: &Text) {
    let Text { text, at } = name;
    if text.is_empty() {
        let fix = "name the plugin in `metadata`";
        report.error("name-missing", *at, "the plugin has no name", fix);
        return;
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
        let why =
            format!("{text:?} has other characters than letters, digits, - and _: krew refuses it");
        report.error("name-characters", *at, why, "name the plugin in lower case, with dashes");
        return;
    }
    if DEVICES.contains(&&*text.to_ascii_uppercase()) {
        let why = format!("{text:?} is the name of a device on Windows: krew refuses it");
        report.error("name-windows", *at, why, "choose another name");
    }
    if text.contains(|c: char| c.is_ascii_uppercase()) {
        let why = format!("{text:?} has upper case: the index's guide asks for lower case");
        report.warning("name-case", *at, why, format!("write {:?}", text.to_ascii_lowercase()));
    }
    if text.contains('_') {
        let why = format!("{text:?} has an underscore: the index's guide asks for dashes");
        report.warning("name-underscore", *at, why, format!("write {:?}", text.replace('_', "-")));
    }
    if text.starts_with('-') || text.ends_with('-') || text.contains("--") {
        let why = format!("{text:?} has a dash that separates no words");
        report.warning("name-dash", *at, why, "put single dashes between words");
    }
    let lower = text.to_ascii_lowercase();
    if let Some(prefix) = PREFIXES.iter().find(|prefix| lower.starts_with(**prefix)) {
        let why = format!("{text:?} begins with {prefix}: every plugin is one of kubectl's");
        report.warning("name-prefix", *at, why, "leave it out: users run `kubectl NAME`");
    }
    let short = lower.split(['-', '_']).find_map(|word| ACRONYMS.iter().find(|it| it.0 == word));
    if let Some((short, long)) = short {
        let why =
            format!("{text:?} has the short name {short}: the index's guide asks for full names");
        report.warning("name-acronym", *at, why, format!("write {long}"));
    }
}
