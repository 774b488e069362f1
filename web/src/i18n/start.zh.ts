import type { start as en } from './start.en';

export const start: typeof en = {
  title: '开始使用',
  hint: '首先要做的事。每一步都显示系统的实际情况，可以随时离开，再回来继续。',
  complete: '全部完成。',
  dismiss: '不再自动打开',
  recall: '恢复自动打开',
  first: '请先完成前面的步骤。',
  progress: '{done}/{all}',
  states: { begun: '进行中', done: '已完成' },
  steps: {
    tenant: {
      title: '开通第一个租户',
      text: '租户就是客户，有自己的用户、盒子和人员库。',
      action: '开通租户',
      look: '查看租户',
    },
    box: {
      title: '接入盒子',
      text: '每个社区在录像机旁放置一台 Dipper 盒子。系统会生成密钥和要在盒子上运行的命令。',
      action: '接入盒子',
      look: '查看盒子',
    },
    recorder: {
      title: '添加录像机',
      text: '录像机保存摄像头的录像。盒子会自动发现它的摄像头。',
      action: '添加录像机',
      look: '查看摄像头',
    },
    person: {
      title: '录入人员',
      text: '姓名和一张清晰的人脸照片。',
      action: '添加人员',
      look: '查看人员库',
    },
    search: {
      title: '进行一次检索',
      text: '选择人员、摄像头和时间段；运行之前会显示预计开销。',
      action: '新建检索',
      look: '查看检索',
    },
  },
  says: {
    noTenant: '还没有租户。租户就是客户，有自己的用户、盒子和人员库；由它的第一位管理员继续后面的步骤。',
    opening: '正在开通。',
    keyMade: '密钥已生成，还没有盒子用它注册。',
    offline: '盒子已注册，目前未连接。',
    unreachable: '盒子无法从录像机取得摄像头，原因见盒子页面，可在那里修改。',
    noCameras: '盒子正在向录像机查询摄像头。',
    faceWaits: '照片正在处理。',
    faceRefused: '没有可用的照片，原因见人员库页面。',
    searching: '检索正在运行，或中途被停止。',
  },
};
