package main

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

type itemModel struct {
	ID          types.String  `tfsdk:"id"`
	Name        types.String  `tfsdk:"name"`
	Description types.String  `tfsdk:"description"`
	Enabled     types.Bool    `tfsdk:"enabled"`
	Replicas    types.Int64   `tfsdk:"replicas"`
	Ratio       types.Float64 `tfsdk:"ratio"`
	Tier        types.String  `tfsdk:"tier"`
	Labels      types.Map     `tfsdk:"labels"`
	Zones       types.List    `tfsdk:"zones"`
	Limits      types.Object  `tfsdk:"limits"`
	Revision    types.Int64   `tfsdk:"revision"`
	Checksum    types.String  `tfsdk:"checksum"`
}

type limitsModel struct {
	CPU    types.Int64  `tfsdk:"cpu"`
	Memory types.String `tfsdk:"memory"`
	Burst  types.Bool   `tfsdk:"burst"`
}

var limitsTypes = map[string]attr.Type{"cpu": types.Int64Type, "memory": types.StringType, "burst": types.BoolType}

// finish gives the item what the provider computes.
func (m *itemModel) finish(revision int64) {
	m.ID = types.StringValue("item/" + m.Name.ValueString())
	m.Revision = types.Int64Value(revision)
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s\x00%s\x00%s", m.Name.ValueString(), m.Description.ValueString(), m.Tier.ValueString())
	m.Checksum = types.StringValue(fmt.Sprintf("%016x", hash.Sum64()))
}

func (m *itemModel) toStored(ctx context.Context) (*storedItem, diag.Diagnostics) {
	var diags diag.Diagnostics
	item := &storedItem{
		ID:          m.ID.ValueString(),
		Name:        m.Name.ValueString(),
		Description: m.Description.ValueString(),
		Enabled:     m.Enabled.ValueBool(),
		Replicas:    m.Replicas.ValueInt64(),
		Ratio:       m.Ratio.ValueFloat64Pointer(),
		Tier:        m.Tier.ValueString(),
		Revision:    m.Revision.ValueInt64(),
		Checksum:    m.Checksum.ValueString(),
	}
	if !m.Labels.IsNull() {
		diags.Append(m.Labels.ElementsAs(ctx, &item.Labels, false)...)
	}
	if !m.Zones.IsNull() {
		diags.Append(m.Zones.ElementsAs(ctx, &item.Zones, false)...)
	}
	if !m.Limits.IsNull() {
		var limits limitsModel
		diags.Append(m.Limits.As(ctx, &limits, basetypes.ObjectAsOptions{})...)
		item.Limits = &storedLimits{
			CPU: limits.CPU.ValueInt64(), Memory: limits.Memory.ValueString(), Burst: limits.Burst.ValueBool(),
		}
	}
	return item, diags
}

func (m *itemModel) fromStored(ctx context.Context, item *storedItem) (diags diag.Diagnostics) {
	m.ID = types.StringValue(item.ID)
	m.Name = types.StringValue(item.Name)
	m.Description = types.StringValue(item.Description)
	m.Enabled = types.BoolValue(item.Enabled)
	m.Replicas = types.Int64Value(item.Replicas)
	m.Ratio = types.Float64PointerValue(item.Ratio)
	m.Tier = types.StringValue(item.Tier)
	m.Revision = types.Int64Value(item.Revision)
	m.Checksum = types.StringValue(item.Checksum)

	m.Labels = types.MapNull(types.StringType)
	if item.Labels != nil {
		labels, found := types.MapValueFrom(ctx, types.StringType, item.Labels)
		diags.Append(found...)
		m.Labels = labels
	}
	m.Zones = types.ListNull(types.StringType)
	if item.Zones != nil {
		zones, found := types.ListValueFrom(ctx, types.StringType, item.Zones)
		diags.Append(found...)
		m.Zones = zones
	}
	m.Limits = types.ObjectNull(limitsTypes)
	if item.Limits != nil {
		limits, found := types.ObjectValue(limitsTypes, map[string]attr.Value{
			"cpu":    types.Int64Value(item.Limits.CPU),
			"memory": types.StringValue(item.Limits.Memory),
			"burst":  types.BoolValue(item.Limits.Burst),
		})
		diags.Append(found...)
		m.Limits = limits
	}
	return diags
}
