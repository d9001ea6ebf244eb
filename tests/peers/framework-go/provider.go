package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type itemsProvider struct{}

type providerModel struct {
	Directory types.String `tfsdk:"directory"`
}

func newProvider() provider.Provider {
	return &itemsProvider{}
}

func (p *itemsProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "items"
}

func (p *itemsProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Items in a directory.",
		Attributes: map[string]schema.Attribute{
			"directory": schema.StringAttribute{
				MarkdownDescription: "Where the items are.",
				Required:            true,
			},
		},
	}
}

func (p *itemsProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var config providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if !config.Directory.IsUnknown() {
		resp.ResourceData = &store{directory: config.Directory.ValueString()}
	}
}

func (p *itemsProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newItemResource}
}

func (p *itemsProvider) DataSources(context.Context) []func() datasource.DataSource {
	return nil
}
