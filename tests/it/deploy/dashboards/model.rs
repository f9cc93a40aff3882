//! The part of Grafana's dashboard model that our dashboards use, as types: a field that Grafana does not know (it would
//! be ignored without a word), a missing one and a wrong type are errors. Also the files that provision them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::bundle::{Bundle, DASHBOARDS};

/// Declares structs that refuse what they do not know, with the names as Grafana writes them.
macro_rules! model {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $($(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        #[allow(dead_code, reason = "what is only read to be refused when wrong")]
        pub(crate) struct $name { $($(#[$field_meta])* pub(crate) $field: $type),* })*
    };
}

/// The same for words of which there are few.
macro_rules! words {
    ($($name:ident { $($word:ident = $text:literal),* })*) => {
        $(#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        pub(crate) enum $name { $(#[serde(rename = $text)] $word),* })*
    };
}

words! {
    Kind { Row = "row", Stat = "stat", Series = "timeseries", Timeline = "state-timeline", Table = "table" }
    ColorMode { Thresholds = "thresholds", Palette = "palette-classic", Shades = "shades", Fixed = "fixed" }
    Text { Value = "value", Name = "name", Both = "value_and_name" }
    Background { Background = "background" }
    NoGraph { None = "none" }
    Justify { Center = "center" }
    Orientation { Auto = "auto" }
    Calc { Last = "lastNotNull", Max = "max" }
    LegendMode { List = "list", Table = "table" }
    Placement { Bottom = "bottom" }
    Tooltip { Multi = "multi", Single = "single" }
    Order { Desc = "desc", None = "none" }
    Draw { Line = "line", Bars = "bars" }
    Points { Never = "never" }
    Shape { Linear = "linear", Step = "stepAfter" }
    Stacking { None = "none", Normal = "normal" }
    Style { Dashed = "dashed" }
    Absolute { Absolute = "absolute" }
    CellHeight { Md = "md" }
    Cell { Background = "color-background" }
    CellMode { Basic = "basic" }
    Align { Auto = "auto", Left = "left" }
    Matcher { Name = "byName", Regexp = "byRegexp" }
    Format { Table = "table" }
    LinkKind { Dashboards = "dashboards", Link = "link" }
    VariableKind { Datasource = "datasource", Query = "query" }
    SourceKind { Prometheus = "prometheus", Grafana = "grafana" }
    Builtin { Dashboard = "dashboard" }
}

model! {
    /// One dashboard.
    Dashboard {
        uid: String, title: String, description: String, tags: Vec<String>, schema_version: u32, version: u32,
        editable: bool, graph_tooltip: u8, timezone: String, week_start: String, fiscal_year_start_month: u8,
        live_now: bool, refresh: String, time: Range, timepicker: Nothing, links: Vec<TopLink>,
        annotations: List<Annotation>, templating: List<Variable>, panels: Vec<Panel>,
    }
    Nothing {}
    Range { from: String, to: String }
    Source { r#type: SourceKind, uid: String }
    TopLink {
        r#type: LinkKind, title: String, tags: Vec<String>, as_dropdown: bool, include_vars: bool, keep_time: bool,
        target_blank: bool, icon: String, tooltip: String, url: String,
    }
    Annotation {
        name: String, built_in: Option<u8>, r#type: Option<Builtin>, datasource: Source, enable: bool, hide: bool,
        icon_color: String, expr: Option<String>, step: Option<String>, use_value_for_time: Option<bool>,
        title_format: Option<String>, text_format: Option<String>, tag_keys: Option<String>,
    }
    Variable {
        name: String, label: String, r#type: VariableKind, datasource: Option<Source>, query: Value, refresh: u8,
        sort: Option<u8>, regex: String, hide: u8, multi: bool, include_all: bool, all_value: Option<String>,
        current: Current, options: Vec<Nothing>, skip_url_sync: bool,
    }
    Current { selected: bool, text: Value, value: Value }
    VariableQuery { query: String, ref_id: String }
    Panel {
        id: u32, r#type: Kind, title: String, grid_pos: Place,
        description: Option<String>, datasource: Option<Source>, #[serde(default)] links: Vec<PanelLink>,
        /// The least `$__interval`.
        interval: Option<String>,
        #[serde(default)] targets: Vec<Target>, field_config: Option<FieldConfig>, options: Option<Value>,
        #[serde(default)] transformations: Vec<Transformation>,
        collapsed: Option<bool>, panels: Option<Vec<Nothing>>,
    }
    #[derive(Copy, Eq)]
    Place { h: u32, w: u32, x: u32, y: u32 }
    PanelLink { title: String, url: String, target_blank: bool }
    Target {
        ref_id: String, datasource: Source, expr: String, instant: bool, range: bool,
        legend_format: Option<String>, format: Option<Format>,
    }
    FieldConfig { defaults: Defaults, overrides: Vec<Override> }
    Defaults {
        unit: String, no_value: String, decimals: Option<u8>, min: Option<f64>, max: Option<f64>,
        #[serde(default)] mappings: Vec<Mapping>, thresholds: Option<Thresholds>, color: Option<Color>,
        custom: Option<Value>,
    }
    Thresholds { mode: Absolute, steps: Vec<Step> }
    Step { color: String, value: Option<f64> }
    Color { mode: ColorMode, fixed_color: Option<String> }
    Shown { text: String, color: String, index: u32 }
    Between { from: f64, to: f64, result: Shown }
    Override { matcher: OverrideMatcher, properties: Vec<Property> }
    OverrideMatcher { id: Matcher, options: String }
    CellOptions { r#type: Cell, mode: CellMode }
    StatOptions {
        reduce_options: Reduce, orientation: Orientation, text_mode: Text, color_mode: Background, graph_mode: NoGraph,
        justify_mode: Justify,
    }
    Reduce { values: bool, calcs: Vec<Calc>, fields: String }
    Legend { display_mode: LegendMode, placement: Placement, show_legend: bool, calcs: Vec<Calc> }
    TooltipOptions { mode: Tooltip, sort: Order }
    SeriesOptions { legend: Legend, tooltip: TooltipOptions }
    SeriesCustom {
        draw_style: Draw, line_width: u8, fill_opacity: u8, show_points: Points, line_interpolation: Shape,
        stacking: Stack, thresholds_style: Option<ThresholdsStyle>,
    }
    Stack { group: String, mode: Stacking }
    ThresholdsStyle { mode: Style }
    TimelineOptions {
        show_value: Orientation, row_height: f64, merge_values: bool, align_value: Align, legend: Legend,
        tooltip: TooltipOptions,
    }
    TimelineCustom { fill_opacity: u8, line_width: u8 }
    TableOptions { show_header: bool, cell_height: CellHeight, #[serde(default)] sort_by: Vec<SortBy> }
    SortBy { display_name: String, desc: bool }
    TableCustom { align: Align }
    Organize {
        exclude_by_name: BTreeMap<String, bool>, index_by_name: BTreeMap<String, u32>,
        rename_by_name: BTreeMap<String, String>,
    }
    /// provisioning/datasources.
    Datasources { api_version: u8, datasources: Vec<Datasource> }
    Datasource {
        name: String, uid: String, r#type: SourceKind, access: Access, url: String, is_default: bool, editable: bool,
        json_data: JsonData,
    }
    JsonData { time_interval: String, http_method: Method }
    /// provisioning/dashboards.
    Providers { api_version: u8, providers: Vec<Provider> }
    Provider {
        name: String, org_id: u32, folder: String, r#type: FileKind, disable_deletion: bool, allow_ui_updates: bool,
        update_interval_seconds: u32, options: ProviderOptions,
    }
    ProviderOptions { path: String, folders_from_files_structure: bool }
}

words! {
    Access { Proxy = "proxy" }
    Method { Post = "POST" }
    FileKind { File = "file" }
}

/// `list` under a key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List<T> {
    pub(crate) list: Vec<T>,
}

/// A value shown as a text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    tag = "type",
    content = "options",
    rename_all = "lowercase",
    deny_unknown_fields
)]
pub(crate) enum Mapping {
    Value(BTreeMap<String, Shown>),
    Range(Between),
}

/// What an override sets.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "id", content = "value", deny_unknown_fields)]
#[allow(dead_code, reason = "what is only read to be refused when wrong")]
pub(crate) enum Property {
    #[serde(rename = "unit")]
    Unit(String),
    #[serde(rename = "decimals")]
    Decimals(u8),
    #[serde(rename = "mappings")]
    Mappings(Vec<Mapping>),
    #[serde(rename = "thresholds")]
    Thresholds(Thresholds),
    #[serde(rename = "color")]
    Color(Color),
    #[serde(rename = "links")]
    Links(Vec<PanelLink>),
    #[serde(rename = "custom.cellOptions")]
    Cell(CellOptions),
    #[serde(rename = "custom.fillOpacity")]
    FillOpacity(u8),
}

/// How a table comes from its queries.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    tag = "id",
    content = "options",
    rename_all = "lowercase",
    deny_unknown_fields
)]
pub(crate) enum Transformation {
    Merge(Nothing),
    Organize(Organize),
}

/// Every dashboard, by its file's name without `.json`.
pub(crate) fn dashboards(bundle: &Bundle) -> Result<Vec<(String, Dashboard)>, String> {
    let mut all = Vec::new();
    for (file, text) in bundle.under(DASHBOARDS) {
        if let Some(name) = file.strip_suffix(".json") {
            let dashboard: Dashboard =
                serde_json::from_str(text).map_err(|e| format!("{file}: {e}"))?;
            for panel in &dashboard.panels {
                options(panel).map_err(|e| format!("{file}: {}: {e}", panel.title))?;
            }
            all.push((name.to_owned(), dashboard));
        }
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    if names != ["actuator-liveness", "fleet", "producer", "rpc-chain"] {
        return Err(format!("dashboards {names:?}"));
    }
    Ok(all)
}

/// What depends on the kind of a panel.
fn options(panel: &Panel) -> Result<(), String> {
    let options = panel.options.clone().unwrap_or(Value::Null);
    let custom = panel.field_config.as_ref();
    let custom = custom.and_then(|c| c.defaults.custom.clone());
    let custom = custom.unwrap_or(Value::Null);
    fn fits<T: serde::de::DeserializeOwned>(what: &str, value: Value) -> Result<(), String> {
        let read: Result<T, _> = serde_json::from_value(value);
        read.map(|_| ()).map_err(|e| format!("{what}: {e}"))
    }
    match panel.r#type {
        Kind::Row => fits::<()>("options", options),
        Kind::Stat => {
            fits::<StatOptions>("options", options)?;
            fits::<()>("custom", custom)
        }
        Kind::Series => {
            fits::<SeriesOptions>("options", options)?;
            fits::<SeriesCustom>("custom", custom)
        }
        Kind::Timeline => {
            fits::<TimelineOptions>("options", options)?;
            fits::<TimelineCustom>("custom", custom)
        }
        Kind::Table => {
            fits::<TableOptions>("options", options)?;
            fits::<TableCustom>("custom", custom)
        }
    }
}

/// The files that provision data source and dashboards are as Grafana reads them.
pub(crate) fn provisioning(bundle: &Bundle) -> Result<(Datasource, Provider), String> {
    let path = "deploy/grafana/provisioning/datasources/slotkeeper.yml";
    let sources: Datasources =
        serde_yaml::from_str(bundle.text(path)?).map_err(|e| format!("{path}: {e}"))?;
    let path = "deploy/grafana/provisioning/dashboards/slotkeeper.yml";
    let providers: Providers =
        serde_yaml::from_str(bundle.text(path)?).map_err(|e| format!("{path}: {e}"))?;
    let ([source], [provider]) = (&sources.datasources[..], &providers.providers[..]) else {
        return Err("not one data source and one provider".to_owned());
    };
    if (sources.api_version, providers.api_version) != (1, 1) {
        return Err("apiVersion is not 1".to_owned());
    }
    Ok((source.clone(), provider.clone()))
}

/// The query of a variable.
pub(crate) fn variable_query(variable: &Variable) -> Result<VariableQuery, String> {
    serde_json::from_value(variable.query.clone()).map_err(|e| format!("{}: {e}", variable.name))
}
