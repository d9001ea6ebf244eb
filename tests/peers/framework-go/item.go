package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type itemResource struct {
	store *store
}

var (
	_ resource.ResourceWithConfigure   = (*itemResource)(nil)
	_ resource.ResourceWithImportState = (*itemResource)(nil)
)

func newItemResource() resource.Resource {
	return &itemResource{}
}

func (r *itemResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_item"
}

var nameRule = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

func (r *itemResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "An item in a file of its own.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				MarkdownDescription: "`item/<name>`.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"name": schema.StringAttribute{
				MarkdownDescription: "The name of the file. Another name is another item.",
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
				Validators: []validator.String{
					stringvalidator.LengthBetween(1, 63),
					stringvalidator.RegexMatches(nameRule, "lower case letters, digits and hyphens"),
				},
			},
			"description": schema.StringAttribute{
				MarkdownDescription: "What it is for.",
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString(""),
				Validators:          []validator.String{stringvalidator.LengthAtMost(200)},
			},
			"enabled": schema.BoolAttribute{
				MarkdownDescription: "Whether it is in use.",
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(true),
			},
			"replicas": schema.Int64Attribute{
				MarkdownDescription: "How many there are.",
				Optional:            true,
				Computed:            true,
				Default:             int64default.StaticInt64(1),
				Validators:          []validator.Int64{int64validator.Between(1, 100)},
			},
			"ratio": schema.Float64Attribute{
				MarkdownDescription: "Its share of the traffic.",
				Optional:            true,
			},
			"tier": schema.StringAttribute{
				MarkdownDescription: "How good it is.",
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString("standard"),
				Validators:          []validator.String{stringvalidator.OneOf("basic", "standard", "premium")},
			},
			"labels": schema.MapAttribute{
				MarkdownDescription: "Words to find it by.",
				Optional:            true,
				ElementType:         types.StringType,
			},
			"zones": schema.ListAttribute{
				MarkdownDescription: "Where it runs.",
				Optional:            true,
				ElementType:         types.StringType,
			},
			"limits": schema.SingleNestedAttribute{
				MarkdownDescription: "How much it may use.",
				Optional:            true,
				Attributes: map[string]schema.Attribute{
					"cpu": schema.Int64Attribute{
						MarkdownDescription: "Processors.",
						Optional:            true,
						Computed:            true,
						Default:             int64default.StaticInt64(1),
						Validators:          []validator.Int64{int64validator.Between(1, 64)},
					},
					"memory": schema.StringAttribute{
						MarkdownDescription: "Memory, with its unit.",
						Optional:            true,
						Computed:            true,
						Default:             stringdefault.StaticString("512Mi"),
						Validators:          []validator.String{stringvalidator.LengthBetween(2, 16)},
					},
					"burst": schema.BoolAttribute{
						MarkdownDescription: "Whether it may use more for a while.",
						Optional:            true,
						Computed:            true,
						Default:             booldefault.StaticBool(false),
					},
				},
			},
			"revision": schema.Int64Attribute{
				MarkdownDescription: "How often it was changed.",
				Computed:            true,
			},
			"checksum": schema.StringAttribute{
				MarkdownDescription: "FNV-1a of what it says.",
				Computed:            true,
			},
		},
	}
}

func (r *itemResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	if req.ProviderData == nil {
		return
	}
	store, ok := req.ProviderData.(*store)
	if !ok {
		resp.Diagnostics.AddError("Unexpected provider data", fmt.Sprintf("*store was expected, not %T.", req.ProviderData))
		return
	}
	r.store = store
}

func (r *itemResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan itemModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	found, err := r.store.load(plan.Name.ValueString())
	if err != nil {
		resp.Diagnostics.AddError("Cannot read the item", err.Error())
		return
	}
	if found != nil {
		resp.Diagnostics.AddAttributeError(path.Root("name"), "An item of this name exists",
			"Import it: terraform import <address> item/"+plan.Name.ValueString())
		return
	}
	plan.finish(1)
	item, diags := plan.toStored(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.store.save(item); err != nil {
		resp.Diagnostics.AddError("Cannot write the item", err.Error())
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
}

func (r *itemResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state itemModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	item, err := r.store.load(state.Name.ValueString())
	if err != nil {
		resp.Diagnostics.AddError("Cannot read the item", err.Error())
		return
	}
	if item == nil {
		resp.State.RemoveResource(ctx)
		return
	}
	resp.Diagnostics.Append(state.fromStored(ctx, item)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
}

func (r *itemResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state itemModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.finish(state.Revision.ValueInt64() + 1)
	item, diags := plan.toStored(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.store.save(item); err != nil {
		resp.Diagnostics.AddError("Cannot write the item", err.Error())
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
}

func (r *itemResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state itemModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.store.remove(state.Name.ValueString()); err != nil {
		resp.Diagnostics.AddError("Cannot delete the item", err.Error())
	}
}

func (r *itemResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	name, found := strings.CutPrefix(req.ID, "item/")
	if !found {
		resp.Diagnostics.AddError("Not an item's id", "`item/<name>` was expected.")
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), name)...)
}
