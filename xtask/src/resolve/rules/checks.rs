//! How often a load balancer checks the nodes of a Service, by its annotations or else by the
//! defaults of its cloud.

use std::path::Path;

use crate::finding::{Finding, Place};
use crate::yaml::Node;

/// A time, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    pub seconds: u64,
    /// For messages, such as `8 s x 3 = 24 s, as GKE checks`.
    pub said: String,
}

impl Time {
    /// So many checks in a row.
    fn repeated(interval: u64, count: u64, basis: &str) -> Time {
        let seconds = interval.saturating_mul(count);
        Time { seconds, said: format!("{interval} s x {count} = {seconds} s, {basis}") }
    }
}

/// What is known of the load balancer before a Service, and of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// Until a node without pods gets no new connections.
    pub fall: Time,
    /// Until a node with its first pod gets some.
    pub rise: Time,
    pub longest_request: Time,
}

impl Times {
    /// The longer of each.
    pub fn or(self, other: Times) -> Times {
        let longer = |a: Time, b: Time| if a.seconds < b.seconds { b } else { a };
        Times {
            fall: longer(self.fall, other.fall),
            rise: longer(self.rise, other.rise),
            longest_request: longer(self.longest_request, other.longest_request),
        }
    }
}

/// The annotations by which a Service says what no cloud's annotations say of it.
pub const INTERVAL: &str = "dockless/health-check-interval";
pub const THRESHOLD: &str = "dockless/health-check-threshold";
/// The same for how long a request may take.
pub const LONGEST_REQUEST: &str = "dockless/longest-request";

/// In seconds, where [`LONGEST_REQUEST`] says nothing.
const ASSUMED_REQUEST: u64 = 5;

const AWS: &str = "service.beta.kubernetes.io/aws-load-balancer-";
const AZURE: &str = "service.beta.kubernetes.io/azure-";

/// The largest number of seconds or checks: a day.
const MOST: u64 = 86_400;

/// The documented defaults of a load balancer.
struct Cloud {
    basis: &'static str,
    interval: u64,
    fall: u64,
    rise: u64,
    /// The annotations for interval, fall and rise; none where they cannot be changed.
    annotations: Option<[&'static str; 3]>,
}

const AWS_TARGET: &str = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type";

/// Network Load Balancers with instances as targets.
/// <https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/service/model_builder.go>
const AWS_INSTANCES: Cloud = Cloud {
    basis: "by default of the AWS Load Balancer Controller",
    interval: 10,
    fall: 2,
    rise: 2,
    annotations: Some([
        "service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval",
        "service.beta.kubernetes.io/aws-load-balancer-healthcheck-unhealthy-threshold",
        "service.beta.kubernetes.io/aws-load-balancer-healthcheck-healthy-threshold",
    ]),
};

/// The same with pods as targets.
/// <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/annotations/>
const AWS_PODS: Cloud = Cloud { fall: 3, rise: 3, ..AWS_INSTANCES };

/// One threshold is for both directions.
/// <https://cloud-provider-azure.sigs.k8s.io/topics/loadbalancer/>
const AZURE_NODES: Cloud = Cloud {
    basis: "by default of the Azure cloud provider",
    interval: 5,
    fall: 2,
    rise: 2,
    annotations: Some([
        "service.beta.kubernetes.io/azure-load-balancer-health-probe-interval",
        "service.beta.kubernetes.io/azure-load-balancer-health-probe-num-of-probe",
        "service.beta.kubernetes.io/azure-load-balancer-health-probe-num-of-probe",
    ]),
};

/// GKE's own, which no annotation changes.
/// <https://github.com/kubernetes/ingress-gce/blob/master/pkg/healthchecksl4/healthchecksl4.go>
const GKE: Cloud =
    Cloud { basis: "as GKE checks", interval: 8, fall: 3, rise: 1, annotations: None };

/// GKE's numbers, which take the longest of the three until a node gets no new connections.
const UNKNOWN: Cloud = Cloud {
    basis: "assumed, as GKE checks: dockless/health-check-interval and \
            dockless/health-check-threshold of the Service can say better",
    ..GKE
};

/// A Service's annotations, with what is wrong in them.
pub struct Annotations<'a> {
    file: &'a Path,
    service: &'a Node,
    pub findings: Vec<Finding>,
}

impl<'a> Annotations<'a> {
    pub fn of(file: &'a Path, service: &'a Node) -> Annotations<'a> {
        Annotations { file, service, findings: Vec::new() }
    }

    fn all(&self) -> &'a [(Node, Node)] {
        let annotations = self.service.get("metadata").and_then(|it| it.get("annotations"));
        annotations.and_then(Node::entries).unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<&'a Node> {
        let named = self.all().iter().find(|(key, _)| key.text() == Some(name));
        named.map(|(_, value)| value)
    }

    fn any(&self, prefix: &str) -> bool {
        let starts = |key: &Node| key.text().is_some_and(|key| key.starts_with(prefix));
        self.all().iter().any(|(key, _)| starts(key))
    }

    /// A whole number of at least 1. Another value is a finding, but the placeholder of a
    /// template is no number yet.
    fn number(&mut self, name: &str) -> Option<u64> {
        let node = self.get(name)?;
        let text = node.text().unwrap_or_default();
        let number = text.trim().parse().ok().filter(|number| (1..=MOST).contains(number));
        let is_placeholder = text.contains("{{") || text.contains('$');
        if number.is_none() && !is_placeholder {
            let place = Place::at(self.file, node.line, node.column);
            let why = format!("{name} is {text:?}, which is no number from 1 to {MOST}");
            let fix = "write a whole number in quotes, such as \"10\"";
            let finding = Finding::warning("local-annotation", place, why, fix);
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
        number
    }

    fn cloud(&self) -> Cloud {
        let class = self.service.get("spec").and_then(|spec| spec.get("loadBalancerClass"));
        let class = class.and_then(Node::text).unwrap_or_default();
        let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| class.starts_with(prefix));
        if is(&["service.k8s.aws/", "eks.amazonaws.com/"]) || self.any(AWS) {
            let target = self.get(AWS_TARGET).and_then(Node::text);
            return if target == Some("ip") { AWS_PODS } else { AWS_INSTANCES };
        }
        if self.any(AZURE) {
            return AZURE_NODES;
        }
        let is_gke = is(&["networking.gke.io/"])
            || self.any("networking.gke.io/")
            || self.any("cloud.google.com/");
        if is_gke { GKE } else { UNKNOWN }
    }

    /// The times, by annotations and defaults.
    pub fn times(&mut self) -> Times {
        let cloud = self.cloud();
        let mut found = 0;
        let mut number = |ours: &str, at: usize, default: u64| {
            let theirs = cloud.annotations.map(|names| names[at]);
            let number = self.number(ours).or_else(|| self.number(theirs?));
            found += u32::from(number.is_some());
            number.unwrap_or(default)
        };
        let interval = number(INTERVAL, 0, cloud.interval);
        let fall = number(THRESHOLD, 1, cloud.fall);
        let rise = number(THRESHOLD, 2, cloud.rise);
        let basis = match found {
            0 => cloud.basis.to_owned(),
            3 => "by the Service's annotations".to_owned(),
            _ => format!("by the Service's annotations, the rest {}", cloud.basis),
        };
        Times {
            fall: Time::repeated(interval, fall, &basis),
            rise: Time::repeated(interval, rise, &basis),
            longest_request: self.longest_request(),
        }
    }

    fn longest_request(&mut self) -> Time {
        let written = self.number(LONGEST_REQUEST);
        let basis = match written {
            Some(_) => "by the Service's annotation".to_owned(),
            None => format!("assumed: {LONGEST_REQUEST} of the Service can say better"),
        };
        let seconds = written.unwrap_or(ASSUMED_REQUEST);
        Time { seconds, said: format!("{seconds} s, {basis}") }
    }
}
