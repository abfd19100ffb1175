//! The blocks of pages that no test types in: the page, how the block begins, and why not.

/// What changes this machine, and needs one that has nothing else to do.
const MACHINE: &str =
    "it installs programs and services on the machine, and needs a person's domain";
const CLUSTER: &str = "it needs a cluster; cluster:: does this on one";
const GITHUB: &str = "it needs GitHub and a login there";
const HERE: &str = "it is about this repository, and .ci/run types it";
const NETWORK: &str = "it needs a network; registries::copies does this with registries here";
const ENDLESS: &str = "it ends with Ctrl-C; watch:: does this";
const ASKS: &str = "it asks a person, and reads the files of another tool; init:: does this";
const PUBLISHED: &str =
    "it needs a program that somebody published; trust:: and registries:: do this";

pub const NOT_RUN: &[(&str, &str, &str)] = &[
    ("README.md", "cargo xtask release --snapshot    #", HERE),
    (
        "README.md",
        "cargo install dockless",
        "it needs crates.io; it is for a published version; .ci/run packages this one",
    ),
    ("docs/how-to/air-gapped.md", "cargo dockless image copy gcr.io", NETWORK),
    ("docs/how-to/air-gapped.md", "cargo dockless image copy oci-archive", NETWORK),
    (
        "docs/how-to/c-in-the-graph.md",
        "cargo dockless setup --zig",
        "it needs a network; cross::setup does this",
    ),
    (
        "docs/how-to/completions.md",
        "cargo xtask completions",
        "it needs a project with an xtask; completions:: names a program to each shell",
    ),
    (
        "docs/how-to/docker-build.md",
        "cargo dockless dockerfile --package mytool\n",
        "it needs Docker, and pulls a compiler; dockerfile:: does this with BuildKit and buildah",
    ),
    (
        "docs/how-to/docker-build.md",
        "cargo dockless dockerfile --package mytool --prebuilt",
        "it needs Docker; dockerfile:: does this with BuildKit and buildah",
    ),
    (
        "docs/how-to/docker-build.md",
        "docker buildx build",
        "it needs Docker, and pulls a compiler; dockerfile:: does this with BuildKit and buildah",
    ),
    (
        "docs/how-to/github-workflows.md",
        "cargo dockless init --workflows --reusable",
        "OWNER and COMMIT are the reader's; workflows:: does this",
    ),
    (
        "docs/how-to/images.md",
        "cargo dockless image --load ssh://box",
        "it needs another machine; over_ssh:: has one",
    ),
    ("docs/how-to/inner-loop.md", "cargo dockless watch\n", ENDLESS),
    ("docs/how-to/inner-loop.md", "cargo dockless watch -- mytool", ENDLESS),
    ("docs/how-to/inner-loop.md", "cargo dockless watch --push", ENDLESS),
    ("docs/how-to/inner-loop.md", "cargo dockless watch apply", ENDLESS),
    ("docs/how-to/from-cargo-dist.md", "cargo dockless init --from auto", ASKS),
    ("docs/how-to/from-cross.md", "cargo dockless init --from auto", ASKS),
    ("docs/how-to/from-dockerfile.md", "cargo dockless init --from auto", ASKS),
    ("docs/how-to/from-goreleaser.md", "cargo dockless init --from auto", ASKS),
    ("docs/how-to/from-ko.md", "cargo dockless init --from auto", ASKS),
    (
        "docs/how-to/github-workflows.md",
        "cargo dockless init --workflows --prebuilt",
        "OWNER is the reader's; workflow_runs:: does this",
    ),
    ("docs/how-to/github-workflows.md", "gh attestation verify FILE --repo OWNER/REPO\n", GITHUB),
    (
        "docs/how-to/github-workflows.md",
        "gh attestation verify FILE --repo OWNER/REPO --cert",
        GITHUB,
    ),
    (
        "docs/how-to/doctor.md",
        "cargo dockless doctor\n",
        "it ends with 1 where there is no token; doctor:: does this with one",
    ),
    ("docs/how-to/helm.md", "cargo dockless resolve", "it needs Helm; renderers:: does this"),
    ("docs/how-to/helm.md", "helm template", "it needs Helm; renderers:: does this"),
    ("docs/how-to/helm.md", "helm upgrade", "it needs Helm; renderers:: does this"),
    ("docs/how-to/helm.md", "helm plugin", "it needs Helm; renderers:: does this"),
    (
        "docs/how-to/init.md",
        "cargo install dockless",
        "it needs crates.io, and asks a person; init:: does the rest",
    ),
    (
        "docs/how-to/init.md",
        "cargo dockless init --from auto",
        "it needs files of another tool; init:: does this",
    ),
    (
        "docs/how-to/images.md",
        "docker run",
        "it needs engines, and root; images::engines does this with each",
    ),
    (
        "docs/how-to/kubernetes.md",
        "cargo dockless apply -f deploy/ --load kind",
        "it needs a cluster of kind; resolve::loads does this",
    ),
    ("docs/how-to/publish.md", "git push origin", GITHUB),
    (
        "docs/how-to/many-machines.md",
        "cargo dockless release --split",
        "it needs several machines; shards:: does this in several folders",
    ),
    (
        "docs/how-to/registries.md",
        "cargo dockless image --update-base",
        "it needs a network; registries::bases does this",
    ),
    ("docs/how-to/registries.md", "cargo dockless image copy", PUBLISHED),
    ("docs/how-to/rebuild.md", "cargo dockless verify --rebuild dist", PUBLISHED),
    ("docs/how-to/trust.md", "gh secret set", GITHUB),
    ("docs/how-to/trust.md", "cargo dockless verify --key", PUBLISHED),
    ("docs/how-to/trust.md", "cosign verify-blob", PUBLISHED),
    ("docs/krew.md", "kubectl krew install", "it installs for the user; krew_release:: does this"),
    ("docs/krew.md", "KREW_GITHUB_TOKEN=", GITHUB),
    (
        "docs/reproducibility.md",
        "git clone",
        "it needs a network; reproducible:: releases the same commit twice",
    ),
    ("docs/reproducibility.md", "DOCKLESS_MATRIX=1", HERE),
    (
        "docs/start/kubectl-plugin.md",
        "cargo dockless setup --zig",
        "it needs a network; cross::setup does this",
    ),
    (
        "docs/start/kubectl-plugin.md",
        "kubectl krew install",
        "it installs for the user; krew_release:: does this",
    ),
    (
        "docs/start/install.md",
        "cargo install dockless",
        "it is for a published version; .ci/run packages this one",
    ),
    ("docs/start/service.md", "docker run", "it needs Docker, and root; images::engines does this"),
    ("examples/README.md", "cargo xtask release --snapshot ", HERE),
    ("examples/README.md", "cargo xtask run --bin source-ip", CLUSTER),
    ("examples/README.md", "cargo xtask resolve -f examples/oauth2-proxy", CLUSTER),
    ("examples/kubectl-view-secret/README.md", "kubectl view-secret db user", CLUSTER),
    ("examples/kubectl-view-secret/README.md", "kubectl view-secret web-tls", CLUSTER),
    (
        "examples/kubectl-view-secret/README.md",
        "kubectl view-secret            #",
        "a person chooses",
    ),
    ("examples/kubectl-view-secret/README.md", "kubectl view-secret store", CLUSTER),
    ("examples/kubectl-view-secret/README.md", "cargo build --release", "it installs for the user"),
    (
        "examples/kubectl-view-secret/README.md",
        "cargo xtask krew manifest",
        "it installs for the user; krew_release:: does this",
    ),
    ("examples/kubectl-view-secret/README.md", "kubectl create secret", CLUSTER),
    (
        "examples/kubectl-view-secret/README.md",
        "ln -s",
        "a person presses Tab; its tests/cli.rs asks for completions",
    ),
    (
        "examples/kubectl-view-secret/README.md",
        "source <(",
        "a person presses Tab; its tests/cli.rs asks for completions",
    ),
    (
        "examples/oauth2-proxy/README.md",
        "cd examples/oauth2-proxy",
        "the names are a person's; its tests/deploy.rs replaces them",
    ),
    ("examples/oauth2-proxy/README.md", "kubectl create namespace", CLUSTER),
    ("examples/oauth2-proxy/README.md", "cargo xtask apply -f deploy --repository", CLUSTER),
    ("examples/oauth2-proxy/README.md", "kubectl apply --namespace tools", CLUSTER),
    ("examples/oauth2-proxy/README.md", "cargo xtask apply -f deploy/prom.yaml", CLUSTER),
    ("examples/oauth2-proxy/README.md", "sudo apt-get install nginx redis-server\n", MACHINE),
    (
        "examples/oauth2-proxy/README.md",
        "sudo install -m 644 deploy/one-machine/oauth2-proxy@",
        MACHINE,
    ),
    ("examples/oauth2-proxy/README.md", "sudo install $(", MACHINE),
    ("examples/oauth2-proxy/README.md", "sudo nginx -t", MACHINE),
    ("examples/oauth2-proxy/README.md", "sudo systemctl disable", MACHINE),
    (
        "examples/oauth2-proxy/README.md",
        "curl -s https://id.example.net",
        "it needs a person's provider",
    ),
    ("examples/oauth2-proxy/README.md", "cargo test -p oauth2-proxy", HERE),
    (
        "examples/oauth2-proxy/README.md",
        "sudo apt-get install nginx redis-server redis-tools",
        MACHINE,
    ),
    ("examples/source-ip/README.md", "curl http://", CLUSTER),
    ("examples/source-ip/README.md", "export DOCKLESS_REPOSITORY", CLUSTER),
    ("examples/source-ip/README.md", "cd examples/source-ip/deploy", CLUSTER),
];
