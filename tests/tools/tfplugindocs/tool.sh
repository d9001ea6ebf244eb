# Checks the pages of the registry (docs/index.md, docs/resources, ...): a Go program.
version=0.25.0
pin=$version
artifact=tfplugindocs

build() {
    need go "install Go (https://go.dev/dl); tfplugindocs is built from its module"
    GOBIN=$1 go install "github.com/hashicorp/terraform-plugin-docs/cmd/tfplugindocs@v$version"
}
