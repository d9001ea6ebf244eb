// A provider of items on terraform-plugin-framework: the peer of
// provider/framework/examples/terraform-provider-items.rs, for the same
// configurations and the same files.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
)

func main() {
	options := providerserver.ServeOpts{Address: "registry.terraform.io/falaj/items"}
	if err := providerserver.Serve(context.Background(), newProvider, options); err != nil {
		log.Fatal(err)
	}
}
