import type { ApprovalRequest, ApprovalRule, DecideApproval, Search } from '@stardipper/proto';
import { request, requestAll } from './client';

export const listApprovals = (state?: ApprovalRequest['state']) =>
  requestAll<ApprovalRequest>(`/approvals?limit=100${state ? `&state=${state}` : ''}`, 500);
export const decideApproval = (searchId: string, decision: DecideApproval) =>
  request<Search>('POST', `/searches/${searchId}/approval`, decision);
export const getApprovalRule = () => request<ApprovalRule>('GET', '/approvals/rule');
export const setApprovalRule = (required: boolean) => request<ApprovalRule>('PUT', '/approvals/rule', { required });
