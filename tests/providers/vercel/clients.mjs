// Vercel's SDK and its reader of Global Config, asked for what a rollout asks for. Prints one JSON line for each step.
import { createClient } from "@vercel/edge-config";
import { Vercel } from "@vercel/sdk";

const [url, token, configUrl, configToken, readToken] = process.argv.slice(1);
const projects = new Vercel({ serverURL: url, bearerToken: token });
const configs = new Vercel({ serverURL: configUrl, bearerToken: configToken });
const reader = createClient(`${configUrl}/ecfg_docflow?token=${readToken}`);
const teamId = "team_docflow";
const project = { idOrName: "prj_docflow", teamId };
const canary = { canaryDeploymentId: "dpl_candidate" };
const move = (deploymentId) => ({ projectId: "prj_docflow", deploymentId, teamId });
const flag = { key: "NEXT_PUBLIC_ENABLE_FORECAST", value: "false", type: "plain", target: ["production"] };
const rolling = projects.rollingRelease;

const steps = {
  project: () => projects.projects.getProject(project),
  start: () => rolling.startRollingRelease({ ...project, requestBody: canary }),
  active: () => rolling.getRollingRelease({ ...project, state: "ACTIVE" }),
  approve: () => rolling.approveRollingReleaseStage({ ...project, requestBody: { ...canary, nextStageIndex: 1 } }),
  complete: () => rolling.completeRollingRelease({ ...project, requestBody: canary }),
  none: () => rolling.getRollingRelease({ ...project, state: "ACTIVE" }),
  rollback: () => projects.projects.requestRollback(move("dpl_stable")),
  promote: () => projects.projects.requestPromote(move("dpl_candidate")),
  abort: () => projects.projects.requestRollback(move("dpl_stable")),
  env: () => projects.projects.createProjectEnv({ ...project, upsert: "true", requestBody: flag }),
  deployments: () => projects.deployments.getDeployments({ projectId: "prj_docflow", teamId, target: "production", limit: 100 }),
  deployment: () => projects.deployments.getDeployment({ idOrUrl: "dpl_candidate", teamId }),
  config: () => configs.globalConfig.getEdgeConfig({ edgeConfigId: "ecfg_docflow", teamId }),
  items: () => configs.globalConfig.getEdgeConfigItems({ edgeConfigId: "ecfg_docflow", teamId }),
  read: () => reader.get("phase1_enabled"),
  readAll: () => reader.getAll(),
  readDigest: () => reader.digest(),
};
for (const [step, ask] of Object.entries(steps)) {
  console.log(JSON.stringify({ step, said: (await ask()) ?? null }));
}
