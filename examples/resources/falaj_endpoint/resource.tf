resource "falaj_endpoint" "employed" {
  workspace_id = falaj_workspace.people.id
  name         = "employed"

  variants = {
    champion = { model_id = falaj_model.employed.id, alias = "champion", weight = 100 }
    next     = { model_id = falaj_model.employed.id, alias = "candidate", shadow = true }
  }

  capture  = { sampling_percent = 100 }
  invokers = ["payroll"]
}
