// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "models/pcie/acs_text.hpp"
#include "models/pcie/report.hpp"

namespace smmulab::pcie {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json value_or_null(const std::optional<T>& id) {
  return id ? Json(id->value()) : Json();
}

Json function_json(const Host& host, FunctionIndex index) {
  const Function& f = host.topology().functions()[index];
  const Assignment& mine = host.assignments()[index];
  Json json;
  json["address"] = to_string(f.address);
  json["type"] = name_of(f.type);
  json["name"] = f.name;
  json["vendor"] = f.vendor;
  json["device"] = f.device;
  json["class"] = f.class_code;
  json["driver"] = f.driver;
  json["secondary_bus"] = f.bridge ? Json(f.bridge->secondary) : Json();
  json["physfn"] = f.physfn ? Json(to_string(*f.physfn)) : Json();
  json["acs"] = f.acs ? Json(to_string(*f.acs)) : Json();
  json["smmu"] = mine.streams ? Json(mine.streams->smmu.value()) : Json();
  json["stream_ids"] = Json::array();
  if (mine.streams) {
    for (const StreamId id : mine.streams->ids) {
      json["stream_ids"].push_back(id.value());
    }
  }
  json["group"] = value_or_null(mine.group);
  json["dev_set"] = value_or_null(mine.dev_set);
  json["why_no_group"] = mine.why_not;
  json["recorded_group"] = f.recorded_group ? Json(*f.recorded_group) : Json();
  return json;
}

}  // namespace

std::string to_json(const Host& host) {
  const std::vector<Function>& functions = host.topology().functions();
  Json json;
  json["source"] = host.source();
  json["smmus"] = host.smmu_count();
  json["functions"] = Json::array();
  for (FunctionIndex f = 0; f < functions.size(); ++f) {
    json["functions"].push_back(function_json(host, f));
  }
  json["split"] = Json::array();
  for (const Split& split : host.split_components()) {
    Json groups = Json::array();
    for (const GroupId group : split.groups) {
      groups.push_back(group.value());
    }
    Json without = Json::array();
    for (const FunctionIndex f : split.without_group) {
      without.push_back(to_string(functions[f].address));
    }
    json["split"].push_back({{"groups", groups}, {"without_group", without}});
  }
  json["not_as_recorded"] = Json::array();
  for (const auto& [one, other] : host.unlike_recorded()) {
    json["not_as_recorded"].push_back(
        {to_string(functions[one].address), to_string(functions[other].address)});
  }
  return json.dump();
}

}  // namespace smmulab::pcie
